#include "models/language_model/gguf.h"

#include <algorithm>
#include <array>
#include <limits>

#include "engine/error.h"
#include "models/language_model/dequantise.h"

namespace sae {
namespace {

constexpr uint32_t magic = 0x46554747;  // "GGUF"

}  // namespace

GgufFile::GgufFile(std::string path) : file_(std::move(path)) {
  GgufHeader header(file_);
  const auto first = header.scalar<uint32_t>("'GGUF'");
  CHECK(first == magic, "{}: byte 0: expected 'GGUF'; this is no GGUF model file", file_.name());
  const auto version = header.scalar<uint32_t>("the version");
  if (version != 2 && version != 3) {
    const bool swapped = version == 0x03000000 || version == 0x02000000;
    header.refuse(4, "version {}{}; versions 2 and 3 are supported", version, swapped ? " (a big-endian file)" : "");
  }
  const uint64_t tensors = header.count("tensors", 4 + 8 + 4 + 8);
  const uint64_t entries = header.count("metadata entries", 8 + 4 + 1);
  read_metadata(header, entries);
  const int64_t alignment = integer_or("general.alignment", 32);
  CHECK(alignment > 0 && alignment <= 1 << 20 && (alignment & (alignment - 1)) == 0,
        "{}: general.alignment is {}, where a power of two was expected", name(), alignment);
  alignment_ = static_cast<uint64_t>(alignment);
  read_tensor_table(header, tensors);
  place_tensors((header.offset() + alignment_ - 1) / alignment_ * alignment_);
}

void GgufFile::read_metadata(GgufHeader& header, uint64_t count) {
  metadata_.reserve(count);
  for (uint64_t i = 0; i < count; ++i) {
    metadata_.push_back(header.offset());
    header.pass_entry();
  }
  std::sort(metadata_.begin(), metadata_.end(), [&](uint64_t a, uint64_t b) {
    const std::string_view left = key_at(a), right = key_at(b);
    return left != right ? left < right : a < b;
  });
  for (size_t i = 1; i < metadata_.size(); ++i) {
    const std::string_view key = key_at(metadata_[i]);
    if (key == key_at(metadata_[i - 1])) header.refuse(metadata_[i], "the key '{}' stands here again", key);
  }
}

std::string_view GgufFile::key_at(uint64_t place) const { return GgufHeader(file_, place).key(); }

std::optional<uint64_t> GgufFile::place_of(std::string_view key) const {
  const auto found = std::lower_bound(metadata_.begin(), metadata_.end(), key,
                                      [&](uint64_t place, std::string_view wanted) { return key_at(place) < wanted; });
  if (found == metadata_.end() || key_at(*found) != key) return std::nullopt;
  return *found;
}

std::optional<GgufValue> GgufFile::find(std::string_view key) const {
  const std::optional<uint64_t> place = place_of(key);
  if (!place.has_value()) return std::nullopt;
  return GgufHeader(file_, *place).entry();
}

void GgufFile::read_tensor_table(GgufHeader& header, uint64_t count) {
  tensors_.reserve(count);
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t begin = header.offset();
    TensorInfo info;
    info.name = header.text("a tensor's name", GgufHeader::longest_name);
    const auto rank = header.scalar<uint32_t>("a tensor's rank");
    if (rank == 0 || rank > 4)
      header.refuse(begin, "tensor '{}' has {} dimensions; 1 to 4 are possible", info.name, rank);
    std::array<int64_t, 4> extents{};
    int64_t elements = 1;
    for (uint32_t axis = 0; axis < rank; ++axis) {
      const auto extent = header.scalar<uint64_t>("a tensor's dimension");
      if (extent == 0 || extent > static_cast<uint64_t>(std::numeric_limits<int64_t>::max() / elements)) {
        header.refuse(begin, "tensor '{}' has a dimension of {}", info.name, extent);
      }
      elements *= static_cast<int64_t>(extent);
      extents[rank - 1 - axis] = static_cast<int64_t>(extent);
    }
    info.shape = Shape(std::span<const int64_t>(extents.data(), rank));
    info.type = header.scalar<uint32_t>("a tensor's type");
    info.offset = header.scalar<uint64_t>("a tensor's offset");
    if (info.offset % alignment_ != 0) {
      header.refuse(begin, "tensor '{}' starts at {}, which is no multiple of {}", info.name, info.offset, alignment_);
    }
    tensors_.push_back(info);
  }
  check_names(header);
}

void GgufFile::check_names(const GgufHeader& header) {
  by_name_.reserve(tensors_.size());
  for (const TensorInfo& info : tensors_) by_name_.push_back(&info);
  std::sort(by_name_.begin(), by_name_.end(), [](const TensorInfo* a, const TensorInfo* b) {
    return a->name != b->name ? a->name < b->name : a->name.data() < b->name.data();
  });
  for (size_t i = 1; i < by_name_.size(); ++i) {
    const std::string_view name = by_name_[i]->name;
    if (by_name_[i - 1]->name != name) continue;
    const auto* begin = reinterpret_cast<const char*>(file_.bytes().data());
    header.refuse(static_cast<uint64_t>(name.data() - begin), "the tensor '{}' stands here again", name);
  }
}

void GgufFile::place_tensors(uint64_t data_begin) {
  const auto size = static_cast<uint64_t>(file_.size());
  for (TensorInfo& info : tensors_) {
    // an unknown type has a place all the same; its length shows only when somebody reads it
    const Quantisation* quantisation = find_quantisation(info.type);
    uint64_t bytes = 0;
    if (quantisation != nullptr) {
      CHECK(info.shape.cols() % quantisation->block_elements == 0,
            "{}: tensor '{}' has rows of {} elements, which are no whole blocks of {}", name(), info.name,
            info.shape.cols(), quantisation->name);
      const auto blocks = static_cast<uint64_t>(info.shape.elements() / quantisation->block_elements);
      const auto block_bytes = static_cast<uint64_t>(quantisation->block_bytes);
      CHECK(blocks <= size / block_bytes, "{}: tensor '{}' {} of {} is larger than the file of {} bytes", name(),
            info.name, info.shape.to_string(), quantisation->name, size);
      bytes = blocks * block_bytes;
    }
    CHECK(data_begin <= size && info.offset <= size - data_begin && bytes <= size - data_begin - info.offset,
          "{}: tensor '{}' lies at bytes {} to {}, but the file ends at {}; it is truncated: fetch it again", name(),
          info.name, data_begin + info.offset, data_begin + info.offset + bytes, size);
    info.offset += data_begin;
    info.bytes = file_.bytes().subspan(info.offset, bytes);
  }
  std::vector<const TensorInfo*> order;
  order.reserve(tensors_.size());
  for (const TensorInfo& info : tensors_) order.push_back(&info);
  std::sort(order.begin(), order.end(), [](auto* a, auto* b) { return a->offset < b->offset; });
  for (size_t i = 1; i < order.size(); ++i) {
    CHECK(order[i - 1]->offset + order[i - 1]->bytes.size() <= order[i]->offset,
          "{}: the tensors '{}' and '{}' overlap at byte {}", name(), order[i - 1]->name, order[i]->name,
          order[i]->offset);
  }
}

template <class T>
T GgufFile::expect(std::string_view key, const char* kind) const {
  std::optional<GgufValue> value = find(key);
  CHECK(value.has_value(), "{}: the metadata lack '{}'", name(), key);
  T* found = std::get_if<T>(&*value);
  CHECK(found != nullptr, "{}: '{}' in the metadata is not {}", name(), key, kind);
  return std::move(*found);
}

int64_t GgufFile::integer(std::string_view key) const { return expect<int64_t>(key, "a whole number"); }
double GgufFile::number(std::string_view key) const {
  const std::optional<GgufValue> value = find(key);
  if (value.has_value() && std::holds_alternative<int64_t>(*value)) return static_cast<double>(integer(key));
  return expect<double>(key, "a number");
}
std::string_view GgufFile::text(std::string_view key) const { return expect<std::string_view>(key, "a text"); }
std::vector<std::string_view> GgufFile::texts(std::string_view key) const {
  return expect<GgufTexts>(key, "a list of texts").texts;
}
std::vector<double> GgufFile::numbers(std::string_view key) const {
  return expect<GgufNumbers>(key, "a list of numbers").numbers();
}
int64_t GgufFile::integer_or(std::string_view key, int64_t preset) const { return has(key) ? integer(key) : preset; }
double GgufFile::number_or(std::string_view key, double preset) const { return has(key) ? number(key) : preset; }
bool GgufFile::boolean_or(std::string_view key, bool preset) const {
  return has(key) ? expect<bool>(key, "a truth value") : preset;
}

const GgufFile::TensorInfo* GgufFile::find_tensor(std::string_view tensor_name) const {
  const auto found =
      std::lower_bound(by_name_.begin(), by_name_.end(), tensor_name,
                       [](const TensorInfo* info, std::string_view wanted) { return info->name < wanted; });
  return found == by_name_.end() || (*found)->name != tensor_name ? nullptr : *found;
}

const GgufFile::TensorInfo& GgufFile::tensor(std::string_view tensor_name, const Shape& expected) const {
  const TensorInfo* found = find_tensor(tensor_name);
  CHECK(found != nullptr, "{}: the tensor '{}' is missing", name(), tensor_name);
  CHECK(found->shape == expected, "{}: tensor '{}' is {}, where the metadata ask for {}", name(), tensor_name,
        found->shape.to_string(), expected.to_string());
  CHECK(find_quantisation(found->type) != nullptr,
        "{}: tensor '{}' is stored as {}, which is not supported; supported: {}", name(), tensor_name,
        quantisation_name(found->type), supported_quantisations());
  return *found;
}

void GgufFile::read(const TensorInfo& info, std::span<float> to) const {
  const Quantisation* quantisation = find_quantisation(info.type);
  CHECK(quantisation != nullptr, "{}: tensor '{}' is stored as {}, which is not supported", name(), info.name,
        quantisation_name(info.type));
  dequantise(*quantisation, info.bytes, to);
}

}  // namespace sae
