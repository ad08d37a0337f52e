#include "experiments/prepare_text/bytes.h"

#include <zlib.h>

#include <algorithm>
#include <fstream>
#include <memory>

#include "engine/error.h"

namespace sae::corpus {

namespace {
constexpr int64_t largest = int64_t{512} << 20;
}

std::string read_bytes(const std::filesystem::path& file) {
  std::error_code error;
  const bool regular = std::filesystem::is_regular_file(file, error);
  CHECK(regular, "{}: expected a readable file, but there is none", file.string());
  const auto size = static_cast<int64_t>(std::filesystem::file_size(file, error));
  CHECK(!error, "{}: its size cannot be read: {}", file.string(), error.message());
  CHECK(size <= largest, "{}: {} bytes are more than the {} that are read as one text; split the file", file.string(),
        size, largest);
  std::ifstream stream(file, std::ios::binary);
  std::string bytes(static_cast<size_t>(size), '\0');
  stream.read(bytes.data(), size);
  CHECK(stream.gcount() == size, "{}: expected {} bytes, read {}", file.string(), size, stream.gcount());
  return bytes;
}

int64_t largest_inflated_size(std::string_view compressed) {
  return std::min(largest, 1040 * static_cast<int64_t>(compressed.size()));
}

std::string inflate(std::string_view compressed, int64_t limit, std::string_view name) {
  z_stream stream{};
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(compressed.data()));  // zlib does not write there
  stream.avail_in = static_cast<uInt>(compressed.size());
  constexpr int detect_zlib_or_gzip = MAX_WBITS + 32;
  CHECK(inflateInit2(&stream, detect_zlib_or_gzip) == Z_OK, "{}: zlib could not start: out of memory", name);
  const std::unique_ptr<z_stream, int (*)(z_stream*)> end(&stream, inflateEnd);

  std::string out;
  std::string chunk(size_t{1} << 16, '\0');
  int status = Z_OK;
  do {
    stream.next_out = reinterpret_cast<Bytef*>(chunk.data());
    stream.avail_out = static_cast<uInt>(chunk.size());
    status = ::inflate(&stream, Z_NO_FLUSH);
    CHECK(status == Z_OK || status == Z_STREAM_END, "{}: broken compressed data near byte {}: {}", name,
          stream.total_in, stream.msg ? stream.msg : "it ends too early");
    out.append(chunk.data(), chunk.size() - stream.avail_out);
    CHECK(static_cast<int64_t>(out.size()) <= limit, "{}: the compressed data holds more than the expected {} bytes",
          name, limit);
    const bool another = stream.avail_in >= 2 && stream.next_in[0] == 0x1F && stream.next_in[1] == 0x8B;
    if (status == Z_STREAM_END && another && inflateReset(&stream) == Z_OK) status = Z_OK;
  } while (status != Z_STREAM_END);
  return out;
}

}  // namespace sae::corpus
