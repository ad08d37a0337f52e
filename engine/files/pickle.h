#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sae {

/// A piece of a storage as a tensor, as torch.save describes it: extents and strides in elements.
struct PickledTensor {
  std::string storage_type;  ///< "FloatStorage", ...
  std::string key;           ///< which storage
  int64_t storage_elements = 0;
  int64_t offset = 0;
  std::vector<int64_t> shape, strides;
};

/// What torch.save makes of a dict of tensors, numbers and texts, and of dicts of numbers and texts in it. Nothing is
/// executed: the few constructors of tensors are known by name, and every other global, opcode and persistent id is
/// refused, naming it and its byte.
struct Pickle {
  struct Number {
    double value = 0;
    bool is_integer = false;
    int64_t integer = 0;
  };
  std::vector<std::pair<std::string, PickledTensor>> tensors;
  /// Keys of an inner dict follow its own: "activation_state_dict.k".
  std::vector<std::pair<std::string, std::string>> texts;
  std::vector<std::pair<std::string, Number>> numbers;
  /// Keys whose values are of no such kind (None, lists, ...).
  std::vector<std::string> others;

  /// `place` names the file and member in messages. Memory stays within some 700 times the length of the input.
  static Pickle parse(std::span<const std::byte> bytes, const std::string& place);
};

}  // namespace sae
