#include "engine/files/activation_shard.h"

#include <zlib.h>

#include <array>
#include <bit>
#include <cstring>

#include "engine/error.h"
#include "engine/shape.h"

namespace sae {
namespace {

static_assert(std::endian::native == std::endian::little, "the formats are little-endian and are mapped as they are");

constexpr std::string_view magic = "sae.rows";
constexpr int64_t format_version = 1;
constexpr int64_t prefix_bytes = 16;  // magic, header length, header checksum
constexpr int64_t alignment = 64;
constexpr int64_t longest_header = 1 << 20;

int64_t padding(int64_t bytes) { return (alignment - bytes % alignment) % alignment; }

uint32_t extend_checksum(uint32_t checksum, const void* data, size_t bytes) {
  if (bytes == 0) return checksum;  // a null pointer would start the checksum afresh
  return static_cast<uint32_t>(::crc32_z(checksum, static_cast<const Bytef*>(data), bytes));
}

std::array<std::span<const std::byte>, 5> byte_columns(const ShardColumns& columns) {
  const auto ids =
      columns.wide_token_ids.empty() ? std::as_bytes(columns.token_ids) : std::as_bytes(columns.wide_token_ids);
  return {columns.values, std::as_bytes(columns.norms), std::as_bytes(columns.documents), ids,
          std::as_bytes(columns.positions)};
}

constexpr std::array<std::byte, alignment> zeros{};

}  // namespace

Json to_json(const StoreDescription& description) {
  Json notes = Json::object();
  for (const auto& [key, value] : description.notes) notes.set(key, value);
  return Json::object()
      .set("model", description.model)
      .set("layer", description.layer)
      .set("site", description.site)
      .set("split", description.split)
      .set("dtype", name_of(description.dtype))
      .set("width", description.width)
      .set("context_length", description.context_length)
      .set("notes", notes);
}

StoreDescription read_description(const Json& json) {
  StoreDescription description;
  description.model = json.at("model").text();
  description.layer = json.at("layer").integer();
  description.site = json.at("site").text();
  description.split = json.at("split").text();
  const std::string dtype = json.at("dtype").text();
  CHECK(dtype == name_of(Dtype::f32) || dtype == name_of(Dtype::bf16), "an activation store of dtype '{}' is unknown",
        dtype);
  description.dtype = dtype == name_of(Dtype::f32) ? Dtype::f32 : Dtype::bf16;
  description.width = json.at("width").integer();
  CHECK(description.width > 0, "an activation store of width {} is impossible", description.width);
  description.context_length = json.at("context_length").integer();
  const Json notes = json.at("notes");
  for (int64_t i = 0; i < notes.size(); ++i) description.notes.emplace_back(notes.key(i), notes.at(i).text());
  return description;
}

std::string shard_name(int64_t index) { return fmt::format("shard-{:05}.act", index); }

ActivationShard::ActivationShard(std::string path) : file_(std::move(path)) {
  read_header();
  place_columns();
}

void ActivationShard::read_header() {
  const auto prefix = file_.range(0, prefix_bytes, "the shard's mark");
  CHECK(std::memcmp(prefix.data(), magic.data(), magic.size()) == 0, "{}: is no shard of an activation store", name());
  uint32_t length = 0, checksum = 0;
  std::memcpy(&length, prefix.data() + 8, sizeof(length));
  std::memcpy(&checksum, prefix.data() + 12, sizeof(checksum));
  CHECK(length <= longest_header, "{}: its header's length {} is damaged", name(), length);
  const auto header = file_.range(prefix_bytes, length, "the header");
  CHECK(extend_checksum(0, header.data(), header.size()) == checksum,
        "{}: its header is damaged (the checksum differs); harvest this store again", name());
  const Json json = Json::parse({reinterpret_cast<const char*>(header.data()), header.size()}, name());
  const int64_t version = json.at("format_version").integer();
  CHECK(version == format_version, "{}: format version {} is unknown, expected {}", name(), version, format_version);
  try {
    description_ = read_description(json);
  } catch (const Error& error) {
    fail("{}: {}", name(), error.what());
  }
  rows_ = json.at("rows").integer();
  const int64_t tokens = json.at("tokens").integer();
  const uint64_t columns_checksum = json.at("checksum").unsigned_integer();
  CHECK(rows_ > 0 && (tokens == 0 || tokens == rows_) && columns_checksum <= UINT32_MAX,
        "{}: {} rows, {} tokens and checksum {} are impossible", name(), rows_, tokens, columns_checksum);
  has_tokens_ = tokens > 0;
  const int64_t token_bytes = json.has("token_bytes") ? json.at("token_bytes").integer() : 2;
  CHECK(token_bytes == 2 || token_bytes == 4, "{}: token ids of {} bytes are unknown", name(), token_bytes);
  has_wide_tokens_ = token_bytes == 4;
  checksum_ = static_cast<uint32_t>(columns_checksum);
  columns_begin_ = prefix_bytes + static_cast<int64_t>(length);
}

void ActivationShard::place_columns() {
  int64_t offset = columns_begin_;
  const auto column = [&](int64_t width, int64_t element_bytes, const char* what) {
    const int64_t available = (file_.size() - offset) / (width > 0 ? element_bytes : 1);
    CHECK(width == 0 || rows_ <= available / width,
          "{}: its {} rows of {} need more bytes than the file's {}; it was cut short", name(), rows_, what,
          file_.size());
    const auto bytes = file_.range(offset, rows_ * width * element_bytes, what);
    offset += static_cast<int64_t>(bytes.size()) + padding(static_cast<int64_t>(bytes.size()));
    CHECK(offset <= file_.size(), "{}: it was cut short in the column of {}", name(), what);
    return bytes;
  };
  const auto as = []<class T>(std::span<const std::byte> bytes, T) {
    return std::span(reinterpret_cast<const T*>(bytes.data()), bytes.size() / sizeof(T));
  };
  const int64_t per_token = has_tokens_ ? 1 : 0;
  columns_.values = column(description_.width, size_of(description_.dtype), "values");
  columns_.norms = as(column(1, 4, "norms"), float{});
  columns_.documents = as(column(per_token, 4, "documents"), int32_t{});
  if (has_wide_tokens_) {
    columns_.wide_token_ids = as(column(per_token, 4, "token ids"), int32_t{});
  } else {
    columns_.token_ids = as(column(per_token, 2, "token ids"), uint16_t{});
  }
  columns_.positions = as(column(per_token, 2, "positions"), uint16_t{});
  CHECK(offset == file_.size(), "{}: its columns end at byte {}, the file at {}", name(), offset, file_.size());
}

void ActivationShard::verify() const {
  const auto columns = file_.range(columns_begin_, file_.size() - columns_begin_, "the columns");
  CHECK(extend_checksum(0, columns.data(), columns.size()) == checksum_,
        "{}: its contents are damaged (the checksum differs); harvest this store again", name());
}

uint32_t write_shard(const std::string& path, const StoreDescription& description, const ShardColumns& columns) {
  const auto rows = static_cast<int64_t>(columns.norms.size());
  uint32_t checksum = 0;
  int64_t bytes = 0;
  for (const auto column : byte_columns(columns)) {
    const int64_t size = static_cast<int64_t>(column.size());
    checksum = extend_checksum(checksum, column.data(), column.size());
    checksum = extend_checksum(checksum, zeros.data(), static_cast<size_t>(padding(size)));
    bytes += size + padding(size);
  }
  Json header = Json::object().set("format_version", format_version);
  const Json described = to_json(description);
  for (int64_t i = 0; i < described.size(); ++i) header.set(described.key(i), described.at(i));
  header.set("rows", rows)
      .set("tokens", static_cast<int64_t>(columns.token_ids.size() + columns.wide_token_ids.size()));
  if (!columns.wide_token_ids.empty()) header.set("token_bytes", 4);
  header.set("checksum", static_cast<int64_t>(checksum));
  std::string text = header.dump();
  text.append(static_cast<size_t>(padding(prefix_bytes + static_cast<int64_t>(text.size()))), ' ');
  CHECK(static_cast<int64_t>(text.size()) <= longest_header, "{}: the store's notes are too long", path);

  const auto length = static_cast<uint32_t>(text.size());
  const uint32_t header_checksum = extend_checksum(0, text.data(), text.size());
  AtomicFile file(path, IfExists::refuse);
  file.expect_bytes(prefix_bytes + static_cast<int64_t>(text.size()) + bytes);
  file.write(magic);
  file.write(std::as_bytes(std::span(&length, 1)));
  file.write(std::as_bytes(std::span(&header_checksum, 1)));
  file.write(text);
  for (const auto column : byte_columns(columns)) {
    file.write(column);
    file.write(std::span(zeros).first(static_cast<size_t>(padding(static_cast<int64_t>(column.size())))));
  }
  file.commit();
  return checksum;
}

}  // namespace sae
