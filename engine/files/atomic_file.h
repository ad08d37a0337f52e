#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace sae {

enum class IfExists { refuse, replace };

/// A file that appears whole or not at all: bytes go to NAME.part in the same folder, and commit() makes them durable
/// and renames. Destroyed before that, it removes NAME.part; one left by a killed process is reused. Until the rename
/// a file of that name is untouched. A lock on NAME.part keeps a second writer out.
class AtomicFile {
 public:
  /// Throws, naming the file, where its folder is missing or not writable, where `path` is a folder or a symbolic link
  /// (renaming would replace the link, not what it points to), where it exists and must not be replaced, and where
  /// another process is writing it.
  AtomicFile(std::string path, IfExists if_exists);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  /// Says how large the file will be, so that a full disk is noticed now; commit() throws on any other size.
  void expect_bytes(int64_t bytes);
  /// Throws, with the bytes needed and what to do, where the disk is full.
  void write(std::span<const std::byte> bytes);
  void write(std::string_view text) { write(std::as_bytes(std::span(text))); }
  void commit();

  const std::string& name() const { return path_; }
  int64_t bytes_written() const { return written_; }

 private:
  void open_part();
  [[noreturn]] void refuse_write(int error, int64_t missing) const;
  void discard() noexcept;

  std::string path_;
  std::string part_;
  IfExists if_exists_;
  int file_ = -1;
  int64_t written_ = 0;
  int64_t expected_ = 0;
};

/// Writes a whole small file.
void write_file(const std::string& path, std::string_view text, IfExists if_exists);

}  // namespace sae
