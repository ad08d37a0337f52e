#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/files/pickle.h"
#include "engine/files/safetensors.h"
#include "engine/files/stored_zip.h"

namespace sae {

/// A dict of tensors as torch.save writes it (PyTorch 1.6 or later): a stored zip archive of a pickle, which is read
/// and never run (pickle.h), and one member for each storage. Tensors may lie in their storages with any strides:
/// encoders that were made as a decoder's transpose do.
class TorchFile {
 public:
  /// Throws, naming the file and what is wrong with it.
  explicit TorchFile(std::string path);

  const std::string& name() const { return zip_.name(); }
  std::vector<std::string> names() const;
  bool has(std::string_view tensor) const;
  /// A copy on the device, row-major; a scalar becomes [1]. Half becomes f32. Throws for a storage of other elements
  /// than float, double, half, bfloat16, int32 and int64, and where the tensor reaches beyond its storage.
  Tensor read(Device& device, std::string_view tensor) const;

  const std::vector<std::pair<std::string, std::string>>& texts() const { return pickle_.texts; }
  bool has_text(std::string_view key) const;
  /// A text or an integer of the dict; of a dict within it by "outer.inner". Throws where there is none.
  const std::string& text(std::string_view key) const;
  int64_t integer(std::string_view key) const;

 private:
  const PickledTensor& find(std::string_view tensor) const;

  StoredZip zip_;
  std::string prefix_;  ///< of all members: "archive/"
  Pickle pickle_;
};

/// What goes into such a file beside its tensors.
struct TorchExtras {
  std::vector<std::string> scalars;  ///< tensors of one element that are to have no axis
  std::string text_key, text;        ///< a text, where the key is not empty
  std::string dict_key;              ///< a dict of a number and a text, likewise
  std::pair<std::string, int64_t> dict_number;
  std::pair<std::string, std::string> dict_text;
};
/// Writes tensors (f32, f64, bf16, i32, i64) that torch.load reads, with weights_only=True too. Equal arguments give
/// equal bytes.
void write_torch_file(const std::string& path, const std::vector<NamedTensor>& tensors, const TorchExtras& extras,
                      IfExists if_exists);

}  // namespace sae
