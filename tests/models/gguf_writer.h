#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace sae::testing {

/// Builds small GGUF files in memory, for tests only: well-formed unless told otherwise.
class GgufWriter {
 public:
  // The format's numbers for the kinds of metadata values.
  enum Kind : uint32_t { u32 = 4, i32 = 5, f32 = 6, boolean = 7, string = 8, array = 9, u64 = 10, f64 = 12 };

  GgufWriter& integer(std::string_view key, uint32_t value) { return entry(key, u32, plain(value)); }
  GgufWriter& number(std::string_view key, float value) { return entry(key, f32, plain(value)); }
  GgufWriter& truth(std::string_view key, bool value) { return entry(key, boolean, plain<uint8_t>(value ? 1 : 0)); }
  GgufWriter& text(std::string_view key, std::string_view value) { return entry(key, string, counted(value)); }
  GgufWriter& texts(std::string_view key, const std::vector<std::string>& values) {
    std::string bytes = plain<uint32_t>(string) + plain<uint64_t>(values.size());
    for (const std::string& value : values) bytes += counted(value);
    return entry(key, array, bytes);
  }
  GgufWriter& integers(std::string_view key, const std::vector<int32_t>& values) {
    std::string bytes = plain<uint32_t>(i32) + plain<uint64_t>(values.size());
    for (const int32_t value : values) bytes += plain(value);
    return entry(key, array, bytes);
  }
  /// A value of any kind, as it stands in the file.
  GgufWriter& entry(std::string_view key, uint32_t kind, const std::string& value) {
    entries_.push_back(counted(key) + plain(kind) + value);
    keys_.emplace_back(key);
    return *this;
  }
  GgufWriter& remove(std::string_view key) {
    for (size_t i = 0; i < keys_.size(); ++i) {
      if (keys_[i] != key) continue;
      keys_.erase(keys_.begin() + static_cast<std::ptrdiff_t>(i));
      entries_.erase(entries_.begin() + static_cast<std::ptrdiff_t>(i));
      break;
    }
    return *this;
  }
  /// `shape` row-major.
  GgufWriter& tensor(std::string_view name, const std::vector<uint64_t>& shape, uint32_t type, std::string data) {
    tensors_.push_back({std::string(name), shape, type, std::move(data), -1});
    return *this;
  }
  GgufWriter& remove_tensor(std::string_view name) {
    std::erase_if(tensors_, [&](const Entry& tensor) { return tensor.name == name; });
    return *this;
  }
  /// Claims another offset than the one where the data lie.
  GgufWriter& claim_offset(std::string_view name, int64_t offset) {
    for (Entry& tensor : tensors_) {
      if (tensor.name == name) tensor.offset = offset;
    }
    return *this;
  }

  std::string bytes(size_t alignment = 32) const {
    std::string header =
        "GGUF" + plain<uint32_t>(3) + plain<uint64_t>(tensors_.size()) + plain<uint64_t>(entries_.size());
    for (const std::string& one : entries_) header += one;
    std::string data;
    for (const Entry& tensor : tensors_) {
      data.resize((data.size() + alignment - 1) / alignment * alignment);
      header += counted(tensor.name) + plain(static_cast<uint32_t>(tensor.shape.size()));
      for (size_t i = tensor.shape.size(); i-- > 0;) header += plain(tensor.shape[i]);
      header += plain(tensor.type);
      header += plain(tensor.offset >= 0 ? static_cast<uint64_t>(tensor.offset) : static_cast<uint64_t>(data.size()));
      data += tensor.data;
    }
    header.resize((header.size() + alignment - 1) / alignment * alignment);
    return header + data;
  }

  template <class T>
  static std::string plain(T value) {
    std::string bytes(sizeof(T), '\0');
    std::memcpy(bytes.data(), &value, sizeof(T));
    return bytes;
  }
  static std::string counted(std::string_view text) { return plain<uint64_t>(text.size()) + std::string(text); }

 private:
  struct Entry {
    std::string name;
    std::vector<uint64_t> shape;
    uint32_t type;
    std::string data;
    int64_t offset;
  };
  std::vector<std::string> keys_, entries_;
  std::vector<Entry> tensors_;
};

}  // namespace sae::testing
