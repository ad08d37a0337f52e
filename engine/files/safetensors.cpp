#include "engine/files/safetensors.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <optional>

#include "engine/error.h"
#include "engine/files/half.h"
#include "engine/files/host_elements.h"
#include "engine/files/json.h"

namespace sae {
namespace {

constexpr int64_t length_bytes = 8;
constexpr int64_t longest_header = 100'000'000;  // the limit of the format's own reader
constexpr std::string_view metadata_key = "__metadata__";

struct StoredDtype {
  std::string_view name;
  int64_t bytes;
  std::optional<Dtype> dtype;
};
constexpr StoredDtype stored_dtypes[] = {
    {"F32", 4, Dtype::f32},   {"F64", 8, Dtype::f64},       {"BF16", 2, Dtype::bf16},    {"I32", 4, Dtype::i32},
    {"I64", 8, Dtype::i64},   {"U16", 2, Dtype::u16},       {"F16", 2, std::nullopt},    {"BOOL", 1, std::nullopt},
    {"U8", 1, std::nullopt},  {"I8", 1, std::nullopt},      {"I16", 2, std::nullopt},    {"U32", 4, std::nullopt},
    {"U64", 8, std::nullopt}, {"F8_E4M3", 1, std::nullopt}, {"F8_E5M2", 1, std::nullopt}};

const StoredDtype& find_dtype(std::string_view file, std::string_view tensor, std::string_view name) {
  for (const StoredDtype& stored : stored_dtypes) {
    if (stored.name == name) return stored;
  }
  fail("{}: tensor '{}' has the unknown dtype '{}'", file, tensor, name.substr(0, 40));
}

std::string_view stored_name(Dtype dtype) {
  for (const StoredDtype& stored : stored_dtypes) {
    if (stored.dtype == dtype) return stored.name;
  }
  refuse_dtype("safetensors", dtype);
}

Shape read_shape(const std::string& place, const std::vector<int64_t>& extents) {
  const int64_t scalar[] = {1};
  try {
    return extents.empty() ? Shape(scalar) : Shape(extents);
  } catch (const Error& error) {
    fail("{}: {}", place, error.what());
  }
}

SafetensorsFile::Entry read_entry(const std::string& file, const std::string& name, const Json& json,
                                  int64_t data_begin) {
  const std::string place = fmt::format("{}: tensor '{}'", file, name);
  CHECK(json.size() == 3, "{}: expected dtype, shape and data_offsets, got {} members", place, json.size());
  SafetensorsFile::Entry entry;
  entry.name = name;
  const StoredDtype& stored = find_dtype(file, name, json.at("dtype").text());
  entry.stored_dtype = stored.name;
  entry.shape = read_shape(place, json.at("shape").integers());
  const std::vector<int64_t> offsets = json.at("data_offsets").integers();
  CHECK(offsets.size() == 2 && 0 <= offsets[0] && offsets[0] <= offsets[1] &&
            offsets[1] <= std::numeric_limits<int64_t>::max() - data_begin,
        "{}: expected data_offsets [begin, end] with 0 <= begin <= end, got {}", place, json.at("data_offsets").dump());
  entry.offset = data_begin + offsets[0];
  entry.bytes = offsets[1] - offsets[0];
  CHECK(entry.bytes % stored.bytes == 0 && entry.bytes / stored.bytes == entry.shape.elements(),
        "{}: {} of shape {} does not fill its {} bytes", place, stored.name, entry.shape.to_string(), entry.bytes);
  return entry;
}

}  // namespace

SafetensorsFile::SafetensorsFile(std::string path) : file_(std::move(path)) { read_header(); }

void SafetensorsFile::read_header() {
  const auto prefix = file_.range(0, length_bytes, "the header's length");
  uint64_t length = 0;
  for (size_t i = 0; i < length_bytes; ++i) length |= std::to_integer<uint64_t>(prefix[i]) << (8 * i);
  CHECK(length >= 2 && length <= longest_header,
        "{}: the header's length is {}, expected 2 to {}; is it a safetensors file?", name(), length, longest_header);
  const auto header = file_.range(length_bytes, static_cast<int64_t>(length), "the header");
  CHECK(header[0] == std::byte{'{'}, "{}: the header does not begin with '{{'; is it a safetensors file?", name());
  const int64_t data_begin = length_bytes + static_cast<int64_t>(length);
  // one tensor at a time: as a tree, a header of 100 MB could take several GB
  Json::Stream stream = {{"", std::string(metadata_key)}, {}, 32};
  bool has_metadata = false;
  stream.take = [&](size_t place, const std::string& key, const Json& value) {
    if (place == 1) {
      metadata_.emplace_back(key, value.text());
    } else if (key == metadata_key) {
      CHECK(value.is_object() && !has_metadata, "{}: {}: expected an object, once", name(), key);
      has_metadata = true;
    } else {
      entries_.push_back(read_entry(name(), key, value, data_begin));
    }
  };
  Json::parse({reinterpret_cast<const char*>(header.data()), header.size()}, name(), stream);
  check_keys();
  check_ranges(data_begin);
}

void SafetensorsFile::check_keys() {
  by_name_.reserve(entries_.size());
  for (const Entry& entry : entries_) by_name_.push_back(&entry);
  std::sort(by_name_.begin(), by_name_.end(), [](const Entry* a, const Entry* b) { return a->name < b->name; });
  for (size_t i = 1; i < by_name_.size(); ++i) {
    CHECK(by_name_[i - 1]->name != by_name_[i]->name, "{}: the key \"{}\" is given twice", name(), by_name_[i]->name);
  }
  std::vector<std::string_view> keys;
  keys.reserve(metadata_.size());
  for (const auto& [key, text] : metadata_) keys.push_back(key);
  std::sort(keys.begin(), keys.end());
  const auto same = std::adjacent_find(keys.begin(), keys.end());
  CHECK(same == keys.end(), "{}: the metadata's key \"{}\" is given twice", name(), *same);
}

const SafetensorsFile::Entry* SafetensorsFile::find(std::string_view tensor) const {
  const auto place = std::lower_bound(by_name_.begin(), by_name_.end(), tensor,
                                      [](const Entry* entry, std::string_view name) { return entry->name < name; });
  return place == by_name_.end() || (*place)->name != tensor ? nullptr : *place;
}

void SafetensorsFile::check_ranges(int64_t data_begin) const {
  std::vector<const Entry*> sorted;
  sorted.reserve(entries_.size());
  for (const Entry& entry : entries_) sorted.push_back(&entry);
  std::sort(sorted.begin(), sorted.end(), [](const Entry* a, const Entry* b) {
    return a->offset != b->offset ? a->offset < b->offset : a->bytes < b->bytes;
  });
  int64_t end = data_begin;
  for (const Entry* entry : sorted) {
    CHECK(entry->offset == end, "{}: tensor '{}' begins at byte {}, expected {}: its data {}", name(), entry->name,
          entry->offset, end, entry->offset < end ? "overlaps another's" : "leaves a gap");
    file_.range(entry->offset, entry->bytes, entry->name.c_str());
    end = entry->offset + entry->bytes;
  }
  CHECK(end == file_.size(), "{}: the tensors end at byte {}, the file at {}", name(), end, file_.size());
}

std::vector<std::string> SafetensorsFile::names() const {
  std::vector<std::string> names;
  for (const Entry& entry : entries_) names.push_back(entry.name);
  return names;
}

const SafetensorsFile::Entry& SafetensorsFile::entry(std::string_view tensor) const {
  if (const Entry* found = find(tensor)) return *found;
  constexpr size_t shown = 20;
  std::string there;
  for (size_t i = 0; i < std::min(shown, entries_.size()); ++i) there += " " + entries_[i].name;
  fail("{}: has no tensor '{}'; it has{}{}", name(), tensor, there.empty() ? " none" : there,
       entries_.size() > shown ? " ..." : "");
}

std::span<const std::byte> SafetensorsFile::bytes(const Entry& entry) const {
  return file_.range(entry.offset, entry.bytes, entry.name.c_str());
}

Tensor SafetensorsFile::read(Device& device, std::string_view tensor) const {
  const Entry& found = entry(tensor);
  const StoredDtype& stored = find_dtype(name(), found.name, found.stored_dtype);
  const std::span<const std::byte> data = bytes(found);
  if (found.stored_dtype == "F16") {
    std::vector<float> values(static_cast<size_t>(found.shape.elements()));
    for (size_t i = 0; i < values.size(); ++i) {
      uint16_t half = 0;
      std::memcpy(&half, data.data() + 2 * i, sizeof(half));
      values[i] = half_to_float(half);
    }
    return Tensor::from(device, found.shape, values);
  }
  CHECK(stored.dtype.has_value(), "{}: tensor '{}' is {}, which is not supported; convert it to F32, BF16 or I32",
        name(), found.name, found.stored_dtype);
  Writable out = Tensor::empty(device, found.shape, *stored.dtype);
  if (!data.empty()) device.copy_from_host(out.raw(), data.data(), data.size());
  return std::move(out).freeze();
}

bool SafetensorsFile::has_metadata(std::string_view key) const {
  return std::any_of(metadata_.begin(), metadata_.end(), [&](const auto& item) { return item.first == key; });
}

const std::string& SafetensorsFile::metadata(std::string_view key) const {
  for (const auto& item : metadata_) {
    if (item.first == key) return item.second;
  }
  fail("{}: its metadata have no '{}'", name(), key);
}

void write_safetensors(const std::string& path, const std::vector<NamedTensor>& tensors, const Metadata& metadata,
                       IfExists if_exists) {
  std::vector<const NamedTensor*> ordered;
  for (const NamedTensor& named : tensors) {
    CHECK(named.tensor.defined(), "{}: tensor '{}' has no value", path, named.name);
    ordered.push_back(&named);
  }
  std::stable_sort(ordered.begin(), ordered.end(), [](const NamedTensor* a, const NamedTensor* b) {
    return size_of(a->tensor.dtype()) > size_of(b->tensor.dtype());
  });

  Json header = Json::object();
  if (!metadata.empty()) {
    Json texts = Json::object();
    for (const auto& [key, value] : metadata) {
      CHECK(!texts.has(key), "{}: the metadata '{}' are given twice", path, key);
      texts.set(key, value);
    }
    header.set(metadata_key, texts);
  }
  int64_t end = 0;
  for (const NamedTensor* named : ordered) {
    CHECK(named->name != metadata_key && !header.has(named->name), "{}: the tensor name '{}' is taken", path,
          named->name);
    std::vector<int64_t> shape;
    for (int axis = 0; axis < named->tensor.shape().rank(); ++axis) shape.push_back(named->tensor.shape()[axis]);
    const int64_t begin = end;
    end += named->tensor.bytes();
    header.set(named->name, Json::object()
                                .set("dtype", stored_name(named->tensor.dtype()))
                                .set("shape", shape)
                                .set("data_offsets", std::vector<int64_t>{begin, end}));
  }
  std::string text = header.dump();
  text.append((length_bytes - text.size() % length_bytes) % length_bytes, ' ');
  CHECK(text.size() <= longest_header, "{}: the header would take {} bytes, more than the format allows", path,
        text.size());

  AtomicFile file(path, if_exists);
  file.expect_bytes(length_bytes + static_cast<int64_t>(text.size()) + end);
  std::string prefix;
  for (int i = 0; i < length_bytes; ++i) prefix += static_cast<char>((text.size() >> (8 * i)) & 0xff);
  file.write(prefix + text);
  std::vector<std::byte> room;
  for (const NamedTensor* named : ordered) file.write(host_elements(named->tensor, room));
  file.commit();
}

}  // namespace sae
