#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "engine/files/pickle.h"

namespace sae {

/// Writes a pickle of a dict of tensors, numbers and texts, as torch.load reads it: protocol 2, keys in the given
/// order.
class PickleWriter {
 public:
  PickleWriter();
  PickleWriter& add(std::string_view key, const PickledTensor& tensor);
  PickleWriter& add(std::string_view key, std::string_view text);
  PickleWriter& add(std::string_view key, int64_t number);
  /// A dict of one number and one text, as OpenAI's autoencoders keep their activation.
  PickleWriter& add(std::string_view key, std::pair<std::string_view, int64_t> number,
                    std::pair<std::string_view, std::string_view> text);
  std::string finish() &&;

 private:
  std::string bytes_;
};

}  // namespace sae
