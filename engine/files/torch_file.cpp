#include "engine/files/torch_file.h"

#include <algorithm>
#include <cstring>

#include "engine/error.h"
#include "engine/files/half.h"
#include "engine/files/host_elements.h"
#include "engine/files/pickle_writer.h"

namespace sae {
namespace {

constexpr std::string_view pickle_name = "data.pkl";
constexpr int64_t longest_pickle = 256 << 10;  // real ones take some kilobytes; reading takes some 700 bytes for each

struct StorageType {
  std::string_view name;
  int64_t bytes;
  Dtype dtype;  ///< of the tensor that is read; half becomes f32
};
constexpr StorageType storage_types[] = {{"FloatStorage", 4, Dtype::f32},     {"DoubleStorage", 8, Dtype::f64},
                                         {"BFloat16Storage", 2, Dtype::bf16}, {"IntStorage", 4, Dtype::i32},
                                         {"LongStorage", 8, Dtype::i64},      {"HalfStorage", 2, Dtype::f32}};

std::string_view storage_name(Dtype dtype) {
  for (const StorageType& type : storage_types) {
    if (type.dtype == dtype) return type.name;
  }
  refuse_dtype("torch file", dtype);
}

/// The common folder of all members, by that of the pickle.
std::string prefix_of(const StoredZip& zip) {
  std::string prefix;
  bool found = false;
  for (const std::string& member : zip.names()) {
    if (!member.ends_with(pickle_name) || std::count(member.begin(), member.end(), '/') != 1) continue;
    CHECK(!found, "{}: the archive has two pickles", zip.name());
    found = true;
    prefix = member.substr(0, member.size() - pickle_name.size());
  }
  CHECK(found && prefix.ends_with('/'), "{}: the archive has no NAME/{}; it is no file of torch.save", zip.name(),
        pickle_name);
  return prefix;
}

Pickle parse_pickle(const StoredZip& zip, const std::string& prefix) {
  const std::string member = prefix + std::string(pickle_name);
  CHECK(zip.size(member) <= longest_pickle, "{}: its {} has {} bytes, expected at most {}", zip.name(), member,
        zip.size(member), longest_pickle);
  if (zip.has(prefix + "byteorder")) {
    const auto order = zip.read(prefix + "byteorder");
    CHECK(std::string_view(reinterpret_cast<const char*>(order.data()), order.size()) == "little",
          "{}: its numbers are not little-endian", zip.name());
  }
  return Pickle::parse(zip.read(member), fmt::format("{}: {}", zip.name(), member));
}

template <class Values>
auto find_key(Values& values, std::string_view key) {
  return std::find_if(values.begin(), values.end(), [&](const auto& item) { return item.first == key; });
}

/// Calls each(element of the storage) for the tensor's elements in row-major order.
template <class Each>
void for_elements(const PickledTensor& tensor, const Each& each) {
  std::vector<int64_t> index(tensor.shape.size(), 0);
  int64_t elements = 1, at = tensor.offset;
  for (const int64_t extent : tensor.shape) elements *= extent;
  for (int64_t i = 0; i < elements; ++i) {
    each(at);
    for (size_t axis = index.size(); axis-- > 0;) {
      at += tensor.strides[axis];
      if (++index[axis] < tensor.shape[axis]) break;
      at -= tensor.strides[axis] * tensor.shape[axis];
      index[axis] = 0;
    }
  }
}

/// The tensor's elements lie within its storage, and are no more than that has.
bool fits(const PickledTensor& tensor) {
  int64_t last = tensor.offset, elements = 1;
  const int64_t limit = tensor.storage_elements;
  if (tensor.offset > limit) return false;
  for (size_t axis = 0; axis < tensor.shape.size(); ++axis) {
    const int64_t extent = tensor.shape[axis], stride = tensor.strides[axis];
    if (extent == 0) return tensor.offset <= limit;
    if (elements > limit / extent) return false;
    elements *= extent;
    if (extent > 1 && stride > limit / (extent - 1)) return false;
    last += stride * (extent - 1);
    if (last >= limit) return false;
  }
  return last < limit;
}

}  // namespace

TorchFile::TorchFile(std::string path)
    : zip_(std::move(path)), prefix_(prefix_of(zip_)), pickle_(parse_pickle(zip_, prefix_)) {}

std::vector<std::string> TorchFile::names() const {
  std::vector<std::string> names;
  for (const auto& [key, tensor] : pickle_.tensors) names.push_back(key);
  return names;
}

bool TorchFile::has(std::string_view tensor) const {
  return find_key(pickle_.tensors, tensor) != pickle_.tensors.end();
}

const PickledTensor& TorchFile::find(std::string_view tensor) const {
  const auto found = find_key(pickle_.tensors, tensor);
  CHECK(found != pickle_.tensors.end(), "{}: has no tensor '{}'", name(), tensor);
  return found->second;
}

Tensor TorchFile::read(Device& device, std::string_view tensor) const {
  const PickledTensor& found = find(tensor);
  const auto* type = std::find_if(std::begin(storage_types), std::end(storage_types),
                                  [&](const StorageType& one) { return one.name == found.storage_type; });
  CHECK(type != std::end(storage_types), "{}: tensor '{}' has a {}, which is not supported; save it as float", name(),
        tensor, found.storage_type);
  const auto bytes = zip_.read(prefix_ + "data/" + found.key);
  CHECK(found.storage_elements == static_cast<int64_t>(bytes.size()) / type->bytes &&
            static_cast<int64_t>(bytes.size()) % type->bytes == 0,
        "{}: storage '{}' has {} bytes, expected {} elements of {}", name(), found.key, bytes.size(),
        found.storage_elements, type->bytes);
  CHECK(fits(found), "{}: tensor '{}' reaches beyond its storage of {} elements", name(), tensor,
        found.storage_elements);
  const auto host = Device::open(DeviceKind::cpu);
  const int64_t scalar[] = {1};
  const Shape shape = found.shape.empty() ? Shape(scalar) : Shape(found.shape);
  Writable out = Tensor::empty(*host, shape, type->dtype);
  auto* to = static_cast<std::byte*>(out.raw());
  const bool is_half = found.storage_type == "HalfStorage";
  for_elements(found, [&](int64_t element) {
    const std::byte* from = bytes.data() + element * type->bytes;
    if (is_half) {
      uint16_t half = 0;
      std::memcpy(&half, from, sizeof(half));
      const float value = half_to_float(half);
      std::memcpy(to, &value, sizeof(value));
      to += sizeof(value);
    } else {
      std::memcpy(to, from, static_cast<size_t>(type->bytes));
      to += type->bytes;
    }
  });
  return std::move(out).freeze().to(device);
}

bool TorchFile::has_text(std::string_view key) const { return find_key(pickle_.texts, key) != pickle_.texts.end(); }

const std::string& TorchFile::text(std::string_view key) const {
  const auto found = find_key(pickle_.texts, key);
  CHECK(found != pickle_.texts.end(), "{}: has no text '{}'", name(), key);
  return found->second;
}

int64_t TorchFile::integer(std::string_view key) const {
  const auto found = find_key(pickle_.numbers, key);
  CHECK(found != pickle_.numbers.end() && found->second.is_integer, "{}: has no integer '{}'", name(), key);
  return found->second.integer;
}

void write_torch_file(const std::string& path, const std::vector<NamedTensor>& tensors, const TorchExtras& extras,
                      IfExists if_exists) {
  PickleWriter pickle;
  std::vector<std::vector<std::byte>> rooms(tensors.size());
  std::vector<ZipMember> storages;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const auto& [tensor_name, tensor] = tensors[i];
    PickledTensor described;
    described.storage_type = storage_name(tensor.dtype());
    described.key = std::to_string(i);
    described.storage_elements = tensor.elements();
    const auto& scalars = extras.scalars;
    if (std::find(scalars.begin(), scalars.end(), tensor_name) == scalars.end()) {
      int64_t stride = tensor.elements();
      for (int axis = 0; axis < tensor.shape().rank(); ++axis) {
        described.shape.push_back(tensor.shape()[axis]);
        stride /= std::max<int64_t>(1, tensor.shape()[axis]);
        described.strides.push_back(stride);
      }
    }
    pickle.add(tensor_name, described);
    storages.push_back({"archive/data/" + described.key, host_elements(tensor, rooms[i])});
  }
  if (!extras.text_key.empty()) pickle.add(extras.text_key, extras.text);
  if (!extras.dict_key.empty()) pickle.add(extras.dict_key, extras.dict_number, extras.dict_text);
  const std::string program = std::move(pickle).finish(), version = "3\n", order = "little";
  std::vector<ZipMember> members = {{"archive/data.pkl", std::as_bytes(std::span(program))},
                                    {"archive/byteorder", std::as_bytes(std::span(order))}};
  members.insert(members.end(), storages.begin(), storages.end());
  members.push_back({"archive/version", std::as_bytes(std::span(version))});
  write_stored_zip(path, members, if_exists);
}

}  // namespace sae
