#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace sae::corpus {

/// The bytes of a file. Throws sae::Error with its name when it cannot be read or is larger than 512 MiB.
std::string read_bytes(const std::filesystem::path& file);

/// Decompresses a zlib or gzip stream (several gzip members in a row are one text; what
/// follows the stream otherwise is ignored). `name` is for the error's text.
/// Throws sae::Error for broken or truncated streams and for more than `limit` bytes of output.
std::string inflate(std::string_view compressed, int64_t limit, std::string_view name);

/// The largest output that deflate can make of so many bytes (its ratio ends at 1032), or 512 MiB: what a claimed size
/// is checked against before anything is allocated.
int64_t largest_inflated_size(std::string_view compressed);

}  // namespace sae::corpus
