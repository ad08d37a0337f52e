#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/files/mapped_file.h"
#include "engine/shape.h"
#include "models/language_model/gguf_header.h"

namespace sae {

/// A GGUF file (version 2 or 3, little-endian): metadata under names, then tensors of possibly quantised weights. The
/// file is mapped, and texts and weights are views of it; of the metadata only their places are kept.
///
/// Everything that the file claims is checked when it is opened, before anything of the claimed size is made: counts
/// against the bytes that are left, lengths, types, alignment, every tensor inside the file and none over another.
/// Errors name the file, the byte and the reason.
class GgufFile {
 public:
  struct TensorInfo {
    std::string_view name;
    Shape shape;                       ///< row-major: the file's first dimension is the last extent
    uint32_t type = 0;                 ///< how elements are stored: models/language_model/dequantise.h
    uint64_t offset = 0;               ///< of its data in the file
    std::span<const std::byte> bytes;  ///< empty for a type that dequantise.h does not know
  };

  explicit GgufFile(std::string path);

  const std::string& name() const { return file_.name(); }
  void forget_pages() const noexcept { file_.forget_pages(); }  ///< see MappedFile
  bool has(std::string_view key) const { return place_of(key).has_value(); }
  /// Nothing where the key is missing.
  std::optional<GgufValue> find(std::string_view key) const;
  /// These throw, naming the file and the key, where the key is missing or of another kind.
  int64_t integer(std::string_view key) const;
  double number(std::string_view key) const;  ///< an integer counts as a number
  std::string_view text(std::string_view key) const;
  std::vector<std::string_view> texts(std::string_view key) const;
  std::vector<double> numbers(std::string_view key) const;  ///< a list of any number type
  /// The default where the key is missing; still throws where it is of another kind.
  int64_t integer_or(std::string_view key, int64_t preset) const;
  double number_or(std::string_view key, double preset) const;
  bool boolean_or(std::string_view key, bool preset) const;

  const std::vector<TensorInfo>& tensors() const { return tensors_; }
  const TensorInfo* find_tensor(std::string_view name) const;
  /// Throws where there is no such tensor, with both shapes where it has another, and for a quantisation that is not
  /// supported: what remains is safe to make room for.
  const TensorInfo& tensor(std::string_view name, const Shape& expected) const;
  /// A tensor's elements as f32; `to` has as many as its shape.
  void read(const TensorInfo& tensor, std::span<float> to) const;

 private:
  void read_metadata(GgufHeader& header, uint64_t count);
  void read_tensor_table(GgufHeader& header, uint64_t count);
  void place_tensors(uint64_t data_begin);
  void check_names(const GgufHeader& header);
  std::string_view key_at(uint64_t place) const;
  std::optional<uint64_t> place_of(std::string_view key) const;
  template <class T>
  T expect(std::string_view key, const char* kind) const;

  MappedFile file_;
  std::vector<uint64_t> metadata_;  // where entries begin, by their keys
  std::vector<TensorInfo> tensors_;
  std::vector<const TensorInfo*> by_name_;
  uint64_t alignment_ = 32;
};

}  // namespace sae
