#include "engine/files/stored_zip.h"

#include <zlib.h>

#include <algorithm>
#include <limits>

#include "engine/error.h"

namespace sae {
namespace {

// Records of the format (PKWARE's APPNOTE, 4.3): signature and length without names and extra fields.
constexpr uint32_t local_signature = 0x04034b50, entry_signature = 0x02014b50, end_signature = 0x06054b50,
                   end64_signature = 0x06064b50, locator64_signature = 0x07064b50;
constexpr int64_t local_bytes = 30, entry_bytes = 46, end_bytes = 22, end64_bytes = 56, locator64_bytes = 20;
constexpr uint32_t in_extension = 0xffffffff;  ///< the number stands in an extra field
constexpr uint16_t extension_tag = 1, padding_tag = 0x4246;
constexpr uint16_t encrypted_flag = 1, utf8_flag = 0x800;
constexpr int64_t alignment = 64;

uint64_t number(std::span<const std::byte> bytes, int64_t at, int64_t count) {
  uint64_t value = 0;
  for (int64_t i = 0; i < count; ++i) value |= std::to_integer<uint64_t>(bytes[static_cast<size_t>(at + i)]) << (8 * i);
  return value;
}
uint16_t u16(std::span<const std::byte> bytes, int64_t at) { return static_cast<uint16_t>(number(bytes, at, 2)); }
uint32_t u32(std::span<const std::byte> bytes, int64_t at) { return static_cast<uint32_t>(number(bytes, at, 4)); }
int64_t i64(const std::string& file, std::span<const std::byte> bytes, int64_t at) {
  const uint64_t value = number(bytes, at, 8);
  CHECK(value <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max()), "{}: a size of {} bytes is impossible",
        file, value);
  return static_cast<int64_t>(value);
}

uint32_t checksum(std::span<const std::byte> bytes) {
  return static_cast<uint32_t>(::crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

}  // namespace

StoredZip::StoredZip(std::string path) : file_(std::move(path)) { read_directory(find_directory()); }

StoredZip::Directory StoredZip::find_directory() const {
  CHECK(file_.size() >= end_bytes && u32(file_.range(0, 4, "the signature"), 0) == local_signature,
        "{}: is no zip archive (torch.save wrote another format before PyTorch 1.6; load it and save it again)",
        name());
  const int64_t end_at = file_.size() - end_bytes;
  const auto end = file_.range(end_at, end_bytes, "the end of the directory");
  CHECK(u32(end, 0) == end_signature && u16(end, 20) == 0,
        "{}: byte {}: expected the end of the zip directory; the file is cut off or has a comment", name(), end_at);
  Directory directory{u32(end, 16), u32(end, 12), u16(end, 10)};
  CHECK(u16(end, 4) == 0 && u16(end, 6) == 0 && u16(end, 8) == u16(end, 10), "{}: is one of several parts", name());
  const int64_t locator_at = end_at - locator64_bytes;
  if (locator_at >= 0 && u32(file_.range(locator_at, 4, "a signature"), 0) == locator64_signature) {
    const auto locator = file_.range(locator_at, locator64_bytes, "the locator of the directory's end");
    const int64_t end64_at = i64(name(), locator, 8);
    const auto end64 = file_.range(end64_at, end64_bytes, "the end of the directory");
    CHECK(u32(end64, 0) == end64_signature && end64_at <= locator_at,
          "{}: byte {}: expected the end of the zip directory", name(), end64_at);
    directory = {i64(name(), end64, 48), i64(name(), end64, 40), i64(name(), end64, 32)};
  }
  return directory;
}

void StoredZip::read_directory(const Directory& directory) {
  file_.range(directory.offset, directory.bytes, "the zip directory");
  CHECK(directory.count <= directory.bytes / entry_bytes, "{}: {} members do not fit into a directory of {} bytes",
        name(), directory.count, directory.bytes);
  int64_t at = directory.offset;
  for (int64_t i = 0; i < directory.count; ++i) {
    std::string member_name;
    int64_t header_bytes = 0;
    const Member member = read_member(at, member_name, header_bytes);
    CHECK(members_.emplace(member_name, member).second, "{}: byte {}: the member '{}' is there twice", name(), at,
          member_name.substr(0, 80));
    names_.push_back(std::move(member_name));
    at += header_bytes;
  }
  CHECK(at == directory.offset + directory.bytes, "{}: byte {}: the zip directory has {} bytes left over", name(), at,
        directory.offset + directory.bytes - at);
}

StoredZip::Member StoredZip::read_member(int64_t at, std::string& member_name, int64_t& header_bytes) const {
  const auto entry = file_.range(at, entry_bytes, "a member of the zip directory");
  CHECK(u32(entry, 0) == entry_signature, "{}: byte {}: expected a member of the zip directory", name(), at);
  const int64_t name_bytes = u16(entry, 28), extra_bytes = u16(entry, 30), comment_bytes = u16(entry, 32);
  const auto name_range = file_.range(at + entry_bytes, name_bytes, "a member's name");
  member_name.assign(reinterpret_cast<const char*>(name_range.data()), name_range.size());
  const std::string place = fmt::format("{}: byte {}: the member '{}'", name(), at, member_name.substr(0, 80));
  CHECK((u16(entry, 8) & encrypted_flag) == 0, "{} is encrypted", place);
  CHECK(u16(entry, 10) == 0, "{} is compressed (method {}), which torch.save never does", place, u16(entry, 10));

  uint64_t packed = u32(entry, 20), bytes = u32(entry, 24), local = u32(entry, 42);
  const auto extra = file_.range(at + entry_bytes + name_bytes, extra_bytes, "a member's extra fields");
  for (int64_t field = 0; field + 4 <= extra_bytes;) {
    const int64_t length = u16(extra, field + 2);
    CHECK(field + 4 + length <= extra_bytes, "{} has extra fields that are too long", place);
    if (u16(extra, field) == extension_tag) {
      int64_t next = field + 4;
      for (uint64_t* wide : {&bytes, &packed, &local}) {  // in this order, those that are said to be there
        if (*wide != in_extension) continue;
        CHECK(next + 8 <= field + 4 + length, "{} lacks a size", place);
        *wide = number(extra, next, 8);
        next += 8;
      }
    }
    field += 4 + length;
  }
  const auto limit = static_cast<uint64_t>(file_.size());
  CHECK(packed == bytes && bytes <= limit && local <= limit, "{} has {} bytes, stored as {} from byte {} on", place,
        bytes, packed, local);
  Member member;
  const auto header = file_.range(static_cast<int64_t>(local), local_bytes, "a member's header");
  CHECK(u32(header, 0) == local_signature, "{} does not begin at byte {}", place, local);
  member.offset = static_cast<int64_t>(local) + local_bytes + u16(header, 26) + u16(header, 28);
  member.bytes = static_cast<int64_t>(bytes);
  member.crc = u32(entry, 16);
  file_.range(member.offset, member.bytes, "a member of the zip archive");
  header_bytes = entry_bytes + name_bytes + extra_bytes + comment_bytes;
  return member;
}

const StoredZip::Member& StoredZip::find(std::string_view member) const {
  const auto found = members_.find(member);
  CHECK(found != members_.end(), "{}: the archive has no member '{}'", name(), member);
  return found->second;
}

std::span<const std::byte> StoredZip::read(std::string_view member) const {
  const Member& found = find(member);
  const auto bytes = file_.range(found.offset, found.bytes, "a member of the zip archive");
  CHECK(checksum(bytes) == found.crc, "{}: byte {}: the member '{}' is damaged (its CRC differs)", name(), found.offset,
        member);
  return bytes;
}

namespace {

void put(std::string& text, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) text += static_cast<char>((value >> (8 * i)) & 0xff);
}

/// What a local header and an entry of the directory have in common, from the version on: flags, method 0, no time (the
/// first day that the format knows), CRC, sizes.
void put_facts(std::string& text, uint32_t crc, uint64_t bytes) {
  constexpr uint16_t version = 20, time = 0, day = 0x21;
  put(text, version, 2);
  put(text, utf8_flag, 2);
  put(text, 0, 2);
  put(text, time, 2);
  put(text, day, 2);
  put(text, crc, 4);
  put(text, bytes, 4);
  put(text, bytes, 4);
}

}  // namespace

void write_stored_zip(const std::string& path, const std::vector<ZipMember>& members, IfExists if_exists) {
  CHECK(members.size() < 0xffff, "{}: {} members, the format takes 65534", path, members.size());
  int64_t at = 0;
  std::string directory;
  std::vector<std::string> headers;
  for (const ZipMember& member : members) {
    const auto bytes = static_cast<int64_t>(member.bytes.size()), name_bytes = static_cast<int64_t>(member.name.size());
    const uint32_t crc = checksum(member.bytes);
    std::string header;
    put(header, local_signature, 4);
    put_facts(header, crc, static_cast<uint64_t>(bytes));
    // An extra field of 4 bytes and padding brings the data to a multiple of the alignment.
    const int64_t unpadded = at + local_bytes + name_bytes + 4;
    const int64_t padding = (alignment - unpadded % alignment) % alignment;
    put(header, static_cast<uint64_t>(name_bytes), 2);
    put(header, static_cast<uint64_t>(4 + padding), 2);
    header += member.name;
    put(header, padding_tag, 2);
    put(header, static_cast<uint64_t>(padding), 2);
    header.append(static_cast<size_t>(padding), 'Z');

    put(directory, entry_signature, 4);
    put(directory, 20, 2);
    put_facts(directory, crc, static_cast<uint64_t>(bytes));
    put(directory, static_cast<uint64_t>(name_bytes), 2);
    directory.append(12, '\0');  // extra fields, comment, part, attributes inside
    put(directory, static_cast<uint64_t>(at), 4);
    directory += member.name;
    at += static_cast<int64_t>(header.size()) + bytes;
    CHECK(at <= std::numeric_limits<uint32_t>::max() - (1 << 20),
          "{}: would be larger than 4 GB, more than a plain zip archive can be", path);
    headers.push_back(std::move(header));
  }
  std::string end;
  put(end, end_signature, 4);
  put(end, 0, 4);  // part
  put(end, members.size(), 2);
  put(end, members.size(), 2);
  put(end, directory.size(), 4);
  put(end, static_cast<uint64_t>(at), 4);
  put(end, 0, 2);

  AtomicFile file(path, if_exists);
  file.expect_bytes(at + static_cast<int64_t>(directory.size() + end.size()));
  for (size_t i = 0; i < members.size(); ++i) {
    file.write(headers[i]);
    file.write(members[i].bytes);
  }
  file.write(directory + end);
  file.commit();
}

}  // namespace sae
