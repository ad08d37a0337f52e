#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "engine/shape.h"
#include "models/language_model/tokenizer_data.h"

namespace sae {

struct Architecture;
struct Quantisation;

/// A tensor in a model's file; its rows are decoded when somebody asks for them.
struct StoredTensor {
  std::string name;  ///< as the file has it
  std::string_view file;
  Shape shape;          ///< row-major; a vector is one row
  uint64_t offset = 0;  ///< of its data in the file
  std::span<const std::byte> bytes;
  const Quantisation* quantisation = nullptr;  ///< null where this way of storing elements is not supported
  std::string stored_as;                       ///< "Q4_1", "BF16"

  /// Columns [begin, end) of a row as floats. Unless they are all of them, elements must be stored one by one.
  void read(int64_t row, int64_t begin, int64_t end, float* to) const;
  void read_row(int64_t row, float* to) const { read(row, 0, shape.cols(), to); }
};

/// A language model on the disk, in whatever format: settings, and tensors. Both go by the names that GGUF gives them,
/// settings without the architecture's name in front ("block_count", "blk.0.attn_q.weight"); another format says how it
/// calls them through its architecture's table of names. So an architecture is written once for all formats.
class ModelFile {
 public:
  using Setting = std::variant<bool, int64_t, double, std::string, std::vector<std::string>>;
  enum class Format { gguf, hugging_face };

  virtual ~ModelFile() = default;

  /// A GGUF file, or a folder as Hugging Face lays it out: config.json, and model.safetensors or its shards with
  /// model.safetensors.index.json. Throws, naming file and place, on what is damaged, and on an architecture that is
  /// not supported, listing those that are.
  static std::shared_ptr<const ModelFile> open(const std::string& path);

  virtual Format format() const = 0;
  const Architecture& architecture() const { return *architecture_; }
  /// The file or folder, for messages.
  const std::string& name() const { return name_; }

  bool has(std::string_view setting) const { return find_setting(setting).has_value(); }
  /// These throw, naming the file and its own name of the setting, where it is missing or of another kind.
  int64_t integer(std::string_view setting) const;
  double number(std::string_view setting) const;  ///< an integer counts as a number
  bool boolean(std::string_view setting) const;
  std::string text(std::string_view setting) const;
  std::vector<std::string> texts(std::string_view setting) const;
  double number_or(std::string_view setting, double preset) const { return has(setting) ? number(setting) : preset; }
  bool boolean_or(std::string_view setting, bool preset) const { return has(setting) ? boolean(setting) : preset; }
  /// An extent: above 0, and small enough that the product of two still fits 64 bits.
  int64_t size(std::string_view setting) const;
  int64_t size_or(std::string_view setting, int64_t preset) const { return has(setting) ? size(setting) : preset; }
  /// "config.json: 'n_layer'": where a setting stands, for messages.
  std::string where(std::string_view setting) const;

  /// Takes what was read of the tensors out of this process's memory, once it has been copied.
  virtual void forget_pages() const = 0;

  /// The tokenizer that the model was trained with, from the same file or folder.
  virtual TokenizerData tokenizer() const = 0;

  /// All tensors, under the file's own names.
  const std::map<std::string, StoredTensor, std::less<>>& tensors() const { return tensors_; }
  const StoredTensor* find_tensor(std::string_view tensor) const;
  /// Throws where there is no such tensor, with both shapes where it has another, and where its elements are stored in
  /// a way that is not supported: what remains is safe to make room for.
  const StoredTensor& tensor(std::string_view tensor, const Shape& expected) const;

 protected:
  virtual std::optional<Setting> find_setting(std::string_view setting) const = 0;
  /// What this format calls a setting or a tensor.
  virtual std::string setting_name(std::string_view setting) const = 0;
  virtual std::string tensor_name(std::string_view tensor) const = 0;

  std::string name_, settings_file_;
  const Architecture* architecture_ = nullptr;
  std::map<std::string, StoredTensor, std::less<>> tensors_;

 private:
  template <class T>
  T expect(std::string_view setting, const char* kind) const;
};

std::shared_ptr<const ModelFile> open_gguf_model(const std::string& path);
std::shared_ptr<const ModelFile> open_hugging_face_folder(const std::string& path);

}  // namespace sae
