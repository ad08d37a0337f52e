#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace sae {

/// A regular file mapped read-only into memory. Pages are read when first touched. Truncating the file while it is
/// mapped ends the process (SIGBUS), as with every memory map; the project's own writers only ever rename over a file.
class MappedFile {
 public:
  /// Throws, naming the file, where it is missing, unreadable, empty, a directory or no regular file.
  explicit MappedFile(std::string path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;

  std::span<const std::byte> bytes() const { return {data_, static_cast<size_t>(size_)}; }
  int64_t size() const { return size_; }
  /// The path as it was given, for messages.
  const std::string& name() const { return name_; }
  /// Bytes [offset, offset + length). Throws, saying what was wanted, where the file ends before.
  std::span<const std::byte> range(int64_t offset, int64_t length, const char* what) const;
  /// Takes the pages that were read out of this process's memory; what is touched again comes from the system's cache.
  void forget_pages() const noexcept;

 private:
  void unmap() noexcept;

  std::string name_;
  const std::byte* data_ = nullptr;
  int64_t size_ = 0;
};

}  // namespace sae
