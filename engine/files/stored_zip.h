#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/files/atomic_file.h"
#include "engine/files/mapped_file.h"

namespace sae {

/// A zip archive whose members are stored without compression: what PyTorch writes. The archive is mapped and members
/// are spans of it, which no library for zip gives: weights of some GB are read without a copy. Everything is checked
/// against the file when it is opened (ranges, names, methods), a member's CRC when it is read.
class StoredZip {
 public:
  /// Throws, naming the file, the byte and what is wrong there; also where the archive has a comment, several parts,
  /// encrypted or compressed members.
  explicit StoredZip(std::string path);

  const std::string& name() const { return file_.name(); }
  /// In the order of the directory.
  const std::vector<std::string>& names() const { return names_; }
  bool has(std::string_view member) const { return members_.contains(member); }
  int64_t size(std::string_view member) const { return find(member).bytes; }
  /// The bytes of a member. Throws where it is missing, and where its CRC is another.
  std::span<const std::byte> read(std::string_view member) const;
  /// Where a member's bytes begin in the file, for messages.
  int64_t offset(std::string_view member) const { return find(member).offset; }

 private:
  struct Member {
    int64_t offset = 0, bytes = 0;
    uint32_t crc = 0;
  };
  struct Directory {
    int64_t offset = 0, bytes = 0, count = 0;
  };
  Directory find_directory() const;
  void read_directory(const Directory& directory);
  Member read_member(int64_t at, std::string& member_name, int64_t& header_bytes) const;
  const Member& find(std::string_view member) const;

  MappedFile file_;
  std::vector<std::string> names_;
  std::map<std::string, Member, std::less<>> members_;
};

struct ZipMember {
  std::string name;
  std::span<const std::byte> bytes;
};
/// Writes such an archive; equal arguments give equal bytes. Each member begins at a multiple of 64 bytes, as PyTorch
/// has it. Throws above 4 GB, which would need the format's extension.
void write_stored_zip(const std::string& path, const std::vector<ZipMember>& members, IfExists if_exists);

}  // namespace sae
