#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/files/json.h"
#include "engine/files/mapped_file.h"

namespace sae {

/// A growing file of JSON values, one a line: a run's metrics. Each line is handed to the system whole before append()
/// returns. Where the disk is full, append() throws and the file ends with the last whole line.
class JsonLinesWriter {
 public:
  JsonLinesWriter(std::string path, IfExists if_exists);
  /// Goes on with a file: keeps its first `bytes` bytes, which must end with a line, and drops what follows (a line cut
  /// short, or lines written after the checkpoint from which a run goes on).
  static JsonLinesWriter resume(std::string path, int64_t bytes);
  ~JsonLinesWriter();
  JsonLinesWriter(JsonLinesWriter&& other) noexcept;
  JsonLinesWriter& operator=(JsonLinesWriter&&) = delete;

  void append(const Json& value);
  /// The file's length: what a checkpoint notes for resume().
  int64_t bytes() const { return bytes_; }
  const std::string& name() const { return path_; }

 private:
  JsonLinesWriter(std::string path, int file, int64_t bytes) : path_(std::move(path)), file_(file), bytes_(bytes) {}

  std::string path_;
  int file_ = -1;
  int64_t bytes_ = 0;
};

/// Reads such a file line by line, whatever its size.
class JsonLinesReader {
 public:
  explicit JsonLinesReader(std::string path);

  /// The next line's value, or nothing after the last whole line. Throws with "FILE:LINE" on bad JSON.
  std::optional<Json> next();
  /// The number of the line that next() read last, from 1.
  int64_t line() const { return line_; }
  /// The bytes up to the end of that line: what JsonLinesWriter::resume() takes.
  int64_t offset() const { return offset_; }
  /// After the last whole line: what stands behind it without a line's end, as an interrupted writer leaves it. Whether
  /// to drop it is the caller's choice.
  std::string_view unfinished() const;

 private:
  std::string_view rest() const;

  std::string path_;
  std::optional<MappedFile> file_;  // none: the file is empty
  int64_t offset_ = 0;
  int64_t line_ = 0;
};

}  // namespace sae
