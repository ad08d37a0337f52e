#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/files/atomic_file.h"
#include "engine/files/mapped_file.h"
#include "engine/tensor.h"

namespace sae {

/// Texts stored beside the tensors, in order.
using Metadata = std::vector<std::pair<std::string, std::string>>;

/// A safetensors file: a u64 little-endian header length, a JSON header, then row-major data. Everything that the
/// header claims is checked against the file when it is opened: the data ranges must tile the file without gap or
/// overlap, and each must be as long as its shape and dtype say.
class SafetensorsFile {
 public:
  struct Entry {
    std::string name;
    std::string_view stored_dtype;  ///< as the file spells it: "F32", "BF16", ...
    Shape shape;                    ///< a file's scalar [] becomes [1]
    int64_t offset = 0;             ///< from the start of the file
    int64_t bytes = 0;
  };

  /// Throws, naming the file and what is wrong with it.
  explicit SafetensorsFile(std::string path);

  const std::string& name() const { return file_.name(); }
  void forget_pages() const noexcept { file_.forget_pages(); }  ///< see MappedFile
  /// In the order of the header.
  const std::deque<Entry>& entries() const { return entries_; }
  std::vector<std::string> names() const;
  bool has(std::string_view tensor) const { return find(tensor) != nullptr; }
  /// Throws, listing the names there are.
  const Entry& entry(std::string_view tensor) const;
  std::span<const std::byte> bytes(const Entry& entry) const;
  /// A copy on the device. F16 becomes f32. Throws for a dtype that tensors do not have (integers of 8 bits, say).
  Tensor read(Device& device, std::string_view tensor) const;

  Metadata metadata() const { return {metadata_.begin(), metadata_.end()}; }
  bool has_metadata(std::string_view key) const;
  /// Throws where the key is missing.
  const std::string& metadata(std::string_view key) const;

 private:
  void read_header();
  void check_keys();
  void check_ranges(int64_t data_begin) const;
  const Entry* find(std::string_view tensor) const;

  MappedFile file_;
  std::deque<Entry> entries_;  // which grows without a copy, and never moves them
  std::vector<const Entry*> by_name_;
  std::deque<Metadata::value_type> metadata_;
};

struct NamedTensor {
  std::string name;
  Tensor tensor;
};

/// Writes such a file, tensor by tensor; equal arguments give equal bytes. Tensors stand in the given order but for
/// this: larger elements come first, as the format's own writer does it, because PyTorch refuses a tensor whose data
/// does not start at a multiple of its element size. Throws on a name given twice and on undefined tensors.
void write_safetensors(const std::string& path, const std::vector<NamedTensor>& tensors, const Metadata& metadata,
                       IfExists if_exists);

}  // namespace sae
