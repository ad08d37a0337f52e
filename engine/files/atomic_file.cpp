#include "engine/files/atomic_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "engine/error.h"

namespace sae {
namespace {

std::string folder_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

uint64_t free_bytes(const std::string& path) {
  struct statvfs space {};
  if (::statvfs(folder_of(path).c_str(), &space) != 0) return UINT64_MAX;
  return static_cast<uint64_t>(space.f_bavail) * space.f_frsize;
}

/// Makes the rename itself durable. Some file systems cannot, and then nothing is lost but that promise.
void sync_folder(const std::string& folder) {
  const int file = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (file < 0) return;
  ::fsync(file);
  ::close(file);
}

int rename_if_absent(const std::string& from, const std::string& to) {
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return 0;
  if (errno != EINVAL && errno != ENOSYS) return -1;
  if (::access(to.c_str(), F_OK) == 0) {
    errno = EEXIST;
    return -1;
  }
  return ::rename(from.c_str(), to.c_str());
}

}  // namespace

AtomicFile::AtomicFile(std::string path, IfExists if_exists)
    : path_(std::move(path)), part_(path_ + ".part"), if_exists_(if_exists) {
  CHECK(!path_.empty() && path_.back() != '/', "'{}': expected the name of a file to write", path_);
  struct stat status {};
  if (::lstat(path_.c_str(), &status) == 0) {
    CHECK(!S_ISLNK(status.st_mode), "{}: is a symbolic link; give the name of the file itself", path_);
    CHECK(S_ISREG(status.st_mode), "{}: exists and is no regular file, so it is not replaced", path_);
    CHECK(if_exists_ == IfExists::replace, "{}: exists already; remove it, or choose another name", path_);
  }
  open_part();
}

AtomicFile::~AtomicFile() { discard(); }

void AtomicFile::open_part() {
  // O_NOFOLLOW: a link planted under the temporary name must not lead the writes elsewhere.
  const int file = ::open(part_.c_str(), O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0666);
  CHECK(file >= 0, "{}: cannot be created in folder {}: {}", path_, folder_of(path_), std::strerror(errno));
  struct stat opened {
  }, named{};
  const bool examined = ::fstat(file, &opened) == 0 && S_ISREG(opened.st_mode) && opened.st_nlink == 1;
  const bool busy = ::flock(file, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  // Between open and flock the previous holder may have renamed it: then this is no longer the file of that name.
  const bool same = ::lstat(part_.c_str(), &named) == 0 && named.st_ino == opened.st_ino;
  if (!examined || busy || !same || ::ftruncate(file, 0) != 0) {
    ::close(file);
    CHECK(!busy && same, "{}: another process is writing it", path_);
    fail("{}: its temporary name {} is taken by something that is no plain file; remove it", path_, part_);
  }
  file_ = file;
}

void AtomicFile::expect_bytes(int64_t bytes) {
  expected_ = bytes;
  if (bytes > written_ && static_cast<uint64_t>(bytes - written_) > free_bytes(path_)) {
    refuse_write(ENOSPC, bytes - written_);
  }
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  CHECK(file_ >= 0, "{}: written to after it was committed", path_);
  while (!bytes.empty()) {
    const ssize_t count = ::write(file_, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    const auto missing = std::max(static_cast<int64_t>(bytes.size()), expected_ - written_);
    if (count <= 0) refuse_write(count < 0 ? errno : ENOSPC, missing);
    bytes = bytes.subspan(static_cast<size_t>(count));
    written_ += count;
  }
}

void AtomicFile::refuse_write(int error, int64_t missing) const {
  fail(
      "{}: cannot be written: {}. {} more bytes are needed after {} written, and folder {} has {} free. Free some "
      "space "
      "or choose another folder; nothing was changed",
      path_, std::strerror(error), missing, written_, folder_of(path_), free_bytes(path_));
}

void AtomicFile::commit() {
  CHECK(file_ >= 0, "{}: committed twice", path_);
  CHECK(expected_ == 0 || written_ == expected_, "{}: {} bytes were announced and {} written", path_, expected_,
        written_);
  if (::fsync(file_) != 0) refuse_write(errno, 0);
  const int status =
      if_exists_ == IfExists::replace ? std::rename(part_.c_str(), path_.c_str()) : rename_if_absent(part_, path_);
  CHECK(status == 0, "{}: cannot be given its name: {}", path_, std::strerror(errno));
  ::close(std::exchange(file_, -1));
  sync_folder(folder_of(path_));
}

void AtomicFile::discard() noexcept {
  if (file_ < 0) return;
  ::unlink(part_.c_str());
  ::close(std::exchange(file_, -1));
}

void write_file(const std::string& path, std::string_view text, IfExists if_exists) {
  AtomicFile file(path, if_exists);
  file.write(text);
  file.commit();
}

}  // namespace sae
