#include "engine/files/json_lines.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "engine/error.h"

namespace sae {

JsonLinesWriter::JsonLinesWriter(std::string path, IfExists if_exists) : path_(std::move(path)) {
  const int exclusive = if_exists == IfExists::refuse ? O_EXCL : O_TRUNC;
  file_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | exclusive, 0666);
  CHECK(file_ >= 0 || errno != EEXIST, "{}: exists already; remove it, or choose another name", path_);
  CHECK(file_ >= 0, "{}: cannot be created: {}", path_, std::strerror(errno));
}

JsonLinesWriter JsonLinesWriter::resume(std::string path, int64_t bytes) {
  const int file = ::open(path.c_str(), O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
  CHECK(file >= 0, "{}: cannot be opened to go on with it: {}", path, std::strerror(errno));
  JsonLinesWriter writer(std::move(path), file, bytes);
  struct stat status {};
  CHECK(::fstat(file, &status) == 0 && S_ISREG(status.st_mode), "{}: expected a file of JSON lines", writer.path_);
  CHECK(bytes >= 0 && bytes <= status.st_size, "{}: expected at least {} bytes to go on from, the file has {}",
        writer.path_, bytes, status.st_size);
  char last = '\n';
  if (bytes > 0) CHECK(::pread(file, &last, 1, bytes - 1) == 1, "{}: {}", writer.path_, std::strerror(errno));
  CHECK(last == '\n', "{}: no line ends at byte {}, so it is not the file that was left", writer.path_, bytes);
  CHECK(::ftruncate(file, bytes) == 0, "{}: cannot be cut to {} bytes: {}", writer.path_, bytes, std::strerror(errno));
  return writer;
}

JsonLinesWriter::~JsonLinesWriter() {
  if (file_ >= 0) ::close(file_);
}

JsonLinesWriter::JsonLinesWriter(JsonLinesWriter&& other) noexcept
    : path_(std::move(other.path_)), file_(std::exchange(other.file_, -1)), bytes_(other.bytes_) {}

void JsonLinesWriter::append(const Json& value) {
  const std::string text = value.dump() + "\n";
  std::string_view left = text;
  while (!left.empty()) {
    const ssize_t count = ::write(file_, left.data(), left.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) {
      const int error = count < 0 ? errno : ENOSPC;
      // No half line may stay. Where even that fails, the reader reports the rest as unfinished.
      [[maybe_unused]] const int status = ::ftruncate(file_, bytes_);
      fail("{}: a line of {} bytes cannot be written: {}. Free some space; the lines before are kept", path_,
           text.size(), std::strerror(error));
    }
    left.remove_prefix(static_cast<size_t>(count));
  }
  bytes_ += static_cast<int64_t>(text.size());
}

JsonLinesReader::JsonLinesReader(std::string path) : path_(std::move(path)) {
  struct stat status {};
  const bool is_empty = ::stat(path_.c_str(), &status) == 0 && S_ISREG(status.st_mode) && status.st_size == 0;
  if (!is_empty) file_.emplace(path_);
}

std::string_view JsonLinesReader::rest() const {
  if (!file_) return {};
  const auto bytes = file_->bytes().subspan(static_cast<size_t>(offset_));
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::optional<Json> JsonLinesReader::next() {
  const std::string_view text = rest();
  const size_t end = text.find('\n');
  if (end == std::string_view::npos) return std::nullopt;
  ++line_;
  Json value = Json::parse(text.substr(0, end), fmt::format("{}:{}", path_, line_));
  offset_ += static_cast<int64_t>(end) + 1;
  return value;
}

std::string_view JsonLinesReader::unfinished() const {
  const std::string_view text = rest();
  return text.find('\n') == std::string_view::npos ? text : std::string_view();
}

}  // namespace sae
