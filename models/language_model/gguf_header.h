#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "engine/error.h"
#include "engine/files/mapped_file.h"

namespace sae {

/// A metadata value that is a list of texts; they are views of the file.
struct GgufTexts {
  std::vector<std::string_view> texts;
};

/// A metadata value that is a list of numbers, as they stand in the file.
struct GgufNumbers {
  uint32_t kind = 0;  ///< the format's number for the type of the elements
  std::span<const std::byte> bytes;
  std::vector<double> numbers() const;
};

using GgufValue = std::variant<bool, int64_t, double, std::string_view, GgufTexts, GgufNumbers>;

/// Walks a GGUF file's header. Every step first looks whether the file still has the bytes, and throws with file, byte
/// and reason where it does not.
class GgufHeader {
 public:
  /// Of a tensor's or a key's name; the format allows 64 bytes for the one and this for the other.
  static constexpr uint64_t longest_name = 65535;

  explicit GgufHeader(const MappedFile& file, uint64_t begin = 0) : file_(file), bytes_(file.bytes()), at_(begin) {}

  uint64_t offset() const { return at_; }
  uint64_t left() const { return bytes_.size() - at_; }

  template <class... Arguments>
  [[noreturn]] void refuse(uint64_t at, fmt::format_string<Arguments...> format, Arguments&&... arguments) const {
    fail("{}: byte {}: {}", file_.name(), at, fmt::format(format, std::forward<Arguments>(arguments)...));
  }

  template <class T>
  T scalar(const char* what) {
    need(sizeof(T), what);
    T value;
    std::memcpy(&value, bytes_.data() + at_, sizeof(T));
    at_ += sizeof(T);
    return value;
  }
  std::string_view text(const char* what, uint64_t longest = std::numeric_limits<uint64_t>::max());
  /// A count of things that take at least `bytes_each` bytes, so that no count is believed that the file cannot hold.
  uint64_t count(const char* what, uint64_t bytes_each);
  /// The key at the beginning of an entry of the metadata.
  std::string_view key() { return text("a metadata key", longest_name); }
  /// The value of such an entry, of one of the format's kinds.
  GgufValue entry() { return entry(true); }
  /// Checks an entry and goes on behind it.
  void pass_entry() { entry(false); }

 private:
  void need(uint64_t bytes, const char* what) const;
  void check_count(uint64_t begin, const char* what, uint64_t number, uint64_t bytes_each) const;
  bool truth(std::string_view key);
  GgufValue entry(bool keep_texts);
  GgufValue list(std::string_view key, bool keep_texts);

  const MappedFile& file_;
  std::span<const std::byte> bytes_;
  uint64_t at_;
};

}  // namespace sae
