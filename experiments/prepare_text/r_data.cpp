#include "experiments/prepare_text/r_data.h"

#include "engine/error.h"
#include "experiments/prepare_text/bytes.h"

namespace sae::corpus {
namespace {

// Type codes of R's serialize.c. Those above 240 stand for values that have no content in the stream.
enum RType : uint32_t {
  symbol = 1,
  pairlist = 2,
  language = 6,
  character = 9,
  logical = 10,
  integer = 13,
  real = 14,
  string_vector = 16,
  list = 19,
  first_contentless = 241,  // BASEENV
  nil = 254,
  reference = 255,
};

class XdrReader {
 public:
  XdrReader(std::string_view bytes, std::string_view name) : bytes_(bytes), name_(name) {}

  void read_header() {
    require(bytes_.starts_with("X\n"), "no XDR serialisation of R: the file does not begin with 'X'");
    offset_ = 2;
    const uint32_t version = read_uint();
    require(version == 2 || version == 3, "unsupported version of R's serialisation");
    read_uint();                                  // version of R that wrote
    read_uint();                                  // oldest version of R that reads
    if (version == 3) read_bytes(read_count(1));  // the native encoding's name
  }

  RValue read_item(int depth) {
    require(depth < 64, "nested deeper than 64");
    const uint32_t flags = read_uint();
    const uint32_t type = flags & 0xFF;
    const bool has_attributes = (flags & 0x200) != 0;
    RValue value;
    switch (type) {
      case symbol:
        return read_symbol(depth);
      case pairlist:
      case language:
        return read_pairlist(flags, depth);
      case character:
        value.strings.push_back(read_string());
        break;
      case logical:
      case integer:
        value.integers = read_integers();
        break;
      case real:
        read_bytes(8 * read_count(8));
        break;
      case string_vector:
        value.strings = read_strings(depth);
        break;
      case list:
        for (int64_t i = 0, count = read_count(4); i < count; ++i) value.elements.push_back(read_item(depth + 1));
        break;
      case reference:
        return read_reference(flags);
      default:
        require(type >= first_contentless && type <= nil, "unsupported kind of R value");
        return value;
    }
    if (has_attributes) take_names(value, read_item(depth + 1));
    return value;
  }

 private:
  void require(bool condition, std::string_view reason) const {
    CHECK(condition, "{}: R data at byte {}: {}", name_, offset_, reason);
  }

  std::string_view read_bytes(int64_t count) {
    require(count <= static_cast<int64_t>(bytes_.size()) - offset_, "truncated");
    const std::string_view taken = bytes_.substr(static_cast<size_t>(offset_), static_cast<size_t>(count));
    offset_ += count;
    return taken;
  }

  uint32_t read_uint() {
    uint32_t value = 0;
    for (const char c : read_bytes(4)) value = value << 8 | static_cast<unsigned char>(c);
    return value;
  }

  // A count of things that take at least `bytes_each`, checked against what is left.
  int64_t read_count(int64_t bytes_each) { return checked_count(read_uint(), bytes_each); }

  int64_t checked_count(uint32_t raw, int64_t bytes_each) const {
    const auto count = static_cast<int32_t>(raw);
    require(count >= 0, "a negative length, or a vector longer than 2^31");
    require(count * bytes_each <= static_cast<int64_t>(bytes_.size()) - offset_, "a length beyond the end");
    return count;
  }

  std::string read_string() {
    constexpr uint32_t missing = 0xFFFFFFFF;  // NA_character_
    const uint32_t length = read_uint();
    return length == missing ? "" : std::string(read_bytes(checked_count(length, 1)));
  }

  std::vector<int32_t> read_integers() {
    std::vector<int32_t> integers(static_cast<size_t>(read_count(4)));
    for (int32_t& value : integers) value = static_cast<int32_t>(read_uint());
    return integers;
  }

  std::vector<std::string> read_strings(int depth) {
    const int64_t count = read_count(8);  // flags and a length each
    std::vector<std::string> strings;
    strings.reserve(static_cast<size_t>(count));
    for (int64_t i = 0; i < count; ++i) {
      RValue element = read_item(depth + 1);
      require(element.strings.size() == 1, "an element of a character vector is no string");
      strings.push_back(std::move(element.strings[0]));
    }
    return strings;
  }

  RValue read_symbol(int depth) {
    RValue value = read_item(depth + 1);
    require(value.strings.size() == 1, "a symbol without a name");
    symbols_.push_back(value.strings[0]);
    return value;
  }

  RValue read_reference(uint32_t flags) {
    const uint32_t position = flags >> 8 != 0 ? flags >> 8 : read_uint();
    require(position >= 1 && position <= symbols_.size(), "a reference to a symbol that has not been read");
    RValue value;
    value.strings.push_back(symbols_[position - 1]);
    return value;
  }

  RValue read_pairlist(uint32_t flags, int depth) {
    RValue value;
    for (uint32_t type = flags & 0xFF; type == pairlist || type == language; type = flags & 0xFF) {
      if ((flags & 0x200) != 0) read_item(depth + 1);
      std::string tag;
      if ((flags & 0x400) != 0) {
        RValue read = read_item(depth + 1);
        if (read.strings.size() == 1) tag = std::move(read.strings[0]);
      }
      value.names.push_back(std::move(tag));
      value.elements.push_back(read_item(depth + 1));
      flags = read_uint();
    }
    require((flags & 0xFF) == nil, "a pair list that does not end in NULL");
    return value;
  }

  static void take_names(RValue& value, const RValue& attributes) {
    for (size_t i = 0; i < attributes.names.size(); ++i) {
      if (attributes.names[i] == "names") value.names = attributes.elements[i].strings;
    }
  }

  std::string_view bytes_;
  std::string_view name_;
  int64_t offset_ = 0;
  std::vector<std::string> symbols_;
};

// One value of a lazy-load data file: its length once decompressed (4 bytes, big-endian), then a zlib stream.
std::string read_chunk(std::string_view data, int64_t offset, int64_t length, const std::string& name) {
  const auto size = static_cast<int64_t>(data.size());
  CHECK(offset >= 0 && length >= 4 && offset <= size && length <= size - offset,
        "{}: the index says bytes {} to {} of a data file of {} bytes", name, offset, offset + length, size);
  const std::string_view chunk = data.substr(static_cast<size_t>(offset), static_cast<size_t>(length));
  int64_t expected = 0;
  for (int i = 0; i < 4; ++i) expected = expected << 8 | static_cast<unsigned char>(chunk[static_cast<size_t>(i)]);
  const std::string_view compressed = chunk.substr(4);
  CHECK(expected <= largest_inflated_size(compressed), "{}: {} compressed bytes cannot hold the claimed {}", name,
        compressed.size(), expected);
  std::string bytes = inflate(compressed, expected, name);
  CHECK(static_cast<int64_t>(bytes.size()) == expected, "{}: expected {} bytes once decompressed, got {}", name,
        expected, bytes.size());
  return bytes;
}

}  // namespace

RValue read_r_value(std::string_view bytes, std::string_view name) {
  XdrReader reader(bytes, name);
  reader.read_header();
  return reader.read_item(0);
}

std::vector<std::pair<std::string, std::vector<std::string>>> read_lazy_load_strings(std::string_view index,
                                                                                     std::string_view data,
                                                                                     std::string_view name) {
  const RValue root = read_r_value(inflate(index, largest_inflated_size(index), name), name);
  CHECK(root.names.size() == root.elements.size(), "{}: expected a list with names", name);
  std::vector<std::pair<std::string, std::vector<std::string>>> found;
  for (size_t i = 0; i < root.names.size(); ++i) {
    if (root.names[i] != "variables") continue;
    const RValue& variables = root.elements[i];
    CHECK(variables.names.size() == variables.elements.size(), "{}: the list of variables has no names", name);
    for (size_t j = 0; j < variables.names.size(); ++j) {
      const std::vector<int32_t>& place = variables.elements[j].integers;
      const std::string variable = fmt::format("{}, variable '{}'", name, variables.names[j]);
      CHECK(place.size() == 2, "{}: expected offset and length, got {} numbers", variable, place.size());
      RValue value = read_r_value(read_chunk(data, place[0], place[1], variable), variable);
      if (!value.strings.empty()) found.emplace_back(variables.names[j], std::move(value.strings));
    }
  }
  return found;
}

}  // namespace sae::corpus
