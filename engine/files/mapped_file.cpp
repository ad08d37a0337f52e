#include "engine/files/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "engine/error.h"

namespace sae {
namespace {

struct Descriptor {
  int value = -1;
  ~Descriptor() {
    if (value >= 0) ::close(value);
  }
};

}  // namespace

MappedFile::MappedFile(std::string path) : name_(std::move(path)) {
  // Without O_NONBLOCK, opening a pipe that nobody writes to would wait for ever.
  const Descriptor file{::open(name_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  CHECK(file.value >= 0, "{}: cannot be opened: {}", name_, std::strerror(errno));
  struct stat status {};
  CHECK(::fstat(file.value, &status) == 0, "{}: cannot be examined: {}", name_, std::strerror(errno));
  CHECK(!S_ISDIR(status.st_mode), "{}: expected a file, this is a directory", name_);
  CHECK(S_ISREG(status.st_mode), "{}: expected a regular file, this is a device, pipe or socket", name_);
  CHECK(status.st_size > 0, "{}: the file is empty", name_);
  void* const data = ::mmap(nullptr, static_cast<size_t>(status.st_size), PROT_READ, MAP_SHARED, file.value, 0);
  CHECK(data != MAP_FAILED, "{}: {} bytes cannot be mapped: {}", name_, status.st_size, std::strerror(errno));
  data_ = static_cast<const std::byte*>(data);
  size_ = status.st_size;
}

MappedFile::~MappedFile() { unmap(); }

MappedFile::MappedFile(MappedFile&& other) noexcept
    : name_(std::move(other.name_)), data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  if (this != &other) {
    unmap();
    name_ = std::move(other.name_);
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
  }
  return *this;
}

void MappedFile::unmap() noexcept {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), static_cast<size_t>(size_));
}

void MappedFile::forget_pages() const noexcept {
  ::madvise(const_cast<std::byte*>(data_), static_cast<size_t>(size_), MADV_DONTNEED);
}

std::span<const std::byte> MappedFile::range(int64_t offset, int64_t length, const char* what) const {
  CHECK(offset >= 0 && length >= 0 && offset <= size_ && length <= size_ - offset,
        "{}: {} needs {} bytes at offset {}, but the file ends at {}; it is damaged or was cut short", name_, what,
        length, offset, size_);
  return bytes().subspan(static_cast<size_t>(offset), static_cast<size_t>(length));
}

}  // namespace sae
