#include "engine/tensor.h"

#include <cstring>
#include <limits>

#include "engine/error.h"

namespace sae {
namespace {

template <class From, class To>
void convert(const From* from, To* to, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    if constexpr (std::is_same_v<From, bfloat16>) {
      to[i] = static_cast<To>(static_cast<float>(from[i]));
    } else if constexpr (std::is_same_v<To, bfloat16>) {
      to[i] = bfloat16(static_cast<float>(from[i]));
    } else {
      to[i] = static_cast<To>(from[i]);
    }
  }
}

template <class F>
void visit_float(Dtype dtype, F&& f) {
  if (dtype == Dtype::bf16) return f(bfloat16{});
  visit_real("convert", dtype, f);
}

}  // namespace

Writable Tensor::empty(Device& device, Shape shape, Dtype dtype) {
  CHECK(shape.elements() <= std::numeric_limits<int64_t>::max() / size_of(dtype), "tensor: {} {} is larger than memory",
        name_of(dtype), shape.to_string());
  Tensor tensor;
  tensor.buffer_ = device.allocate(static_cast<size_t>(shape.elements() * size_of(dtype)));
  tensor.shape_ = shape;
  tensor.dtype_ = dtype;
  return Writable(std::move(tensor));
}

Tensor Tensor::zeros(Device& device, Shape shape, Dtype dtype) {
  if (device.kind() != DeviceKind::cpu) refuse_device("zeros", device.kind());
  Writable writable = empty(device, shape, dtype);
  std::memset(writable.raw(), 0, static_cast<size_t>(writable.bytes()));
  return std::move(writable).freeze();
}

Tensor Tensor::from_bytes(Device& device, Shape shape, Dtype dtype, const void* values, int64_t count) {
  CHECK(count == shape.elements(), "tensor: shape {} has {} elements, got {} values", shape.to_string(),
        shape.elements(), count);
  if (device.kind() != DeviceKind::cpu) refuse_device("tensor", device.kind());
  Writable writable = empty(device, shape, dtype);
  if (count > 0) std::memcpy(writable.raw(), values, static_cast<size_t>(writable.bytes()));
  return std::move(writable).freeze();
}

const void* Tensor::raw() const {
  CHECK(defined(), "tensor: used before it was given a value");
  return static_cast<const char*>(buffer_->data()) + offset_;
}

Tensor Tensor::slice_rows(int64_t begin, int64_t end) const {
  CHECK(0 <= begin && begin <= end && end <= rows(), "slice_rows: expected 0 <= begin <= end <= {}, got [{}, {})",
        rows(), begin, end);
  Tensor slice = *this;
  slice.shape_ = Shape{end - begin, cols()};
  slice.offset_ = offset_ + begin * cols() * size_of(dtype_);
  return slice;
}

Tensor Tensor::with_shape(Shape shape) const {
  CHECK(shape.elements() == elements(), "with_shape: {} has {} elements, {} has {}", shape_.to_string(), elements(),
        shape.to_string(), shape.elements());
  Tensor view = *this;
  view.shape_ = shape;
  return view;
}

Tensor Tensor::to(Device& other) const {
  if (&other == &device()) return *this;
  if (device().kind() != DeviceKind::cpu) refuse_device("copy from", device().kind());
  return from_bytes(other, shape_, dtype_, raw(), elements());
}

Tensor Tensor::to(Dtype target) const {
  if (target == dtype_) return *this;
  if (device().kind() != DeviceKind::cpu) refuse_device("convert", device().kind());
  Writable out = empty(device(), shape_, target);
  visit_float(dtype_, [&](auto from) {
    visit_float(target, [&](auto to) { convert(data<decltype(from)>(), out.data<decltype(to)>(), elements()); });
  });
  return std::move(out).freeze();
}

Writable Tensor::into_writable() && {
  CHECK(defined(), "tensor: used before it was given a value");
  if (buffer_.use_count() == 1) return Writable(std::move(*this));
  if (device().kind() != DeviceKind::cpu) refuse_device("copy", device().kind());
  Writable copy = empty(device(), shape_, dtype_);
  if (bytes() > 0) std::memcpy(copy.raw(), raw(), static_cast<size_t>(bytes()));
  return copy;
}

Tensor Tensor::clone() const { return from_bytes(device(), shape_, dtype_, raw(), elements()); }

std::string Tensor::describe() const {
  return defined() ? std::string(name_of(dtype_)) + " " + shape_.to_string() : "undefined";
}

void Tensor::require_dtype(Dtype expected) const {
  CHECK(dtype_ == expected, "tensor: elements are {}, read as {}", name_of(dtype_), name_of(expected));
}

}  // namespace sae
