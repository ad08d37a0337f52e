#include "engine/tensor.h"

#include <limits>

#include "engine/convert.h"
#include "engine/convert_cuda.h"
#include "engine/error.h"

namespace sae {
namespace {

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
  Writable writable = empty(device, shape, dtype);
  device.clear(writable.raw(), static_cast<size_t>(writable.bytes()));
  return std::move(writable).freeze();
}

Tensor Tensor::from_bytes(Device& device, Shape shape, Dtype dtype, const void* values, int64_t count) {
  CHECK(count == shape.elements(), "tensor: shape {} has {} elements, got {} values", shape.to_string(),
        shape.elements(), count);
  Writable writable = empty(device, shape, dtype);
  device.copy_from_host(writable.raw(), values, static_cast<size_t>(writable.bytes()));
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
  const auto size = static_cast<size_t>(bytes());
  Writable copy = empty(other, shape_, dtype_);
  if (device().kind() == DeviceKind::cpu) {
    other.copy_from_host(copy.raw(), raw(), size);
  } else if (other.kind() == DeviceKind::cpu) {
    device().copy_to_host(copy.raw(), raw(), size);
  } else {
    std::vector<char> host(size);
    device().copy_to_host(host.data(), raw(), size);
    other.copy_from_host(copy.raw(), host.data(), size);
  }
  return std::move(copy).freeze();
}

Tensor Tensor::to(Dtype target) const {
  if (target == dtype_) return *this;
  Writable out = empty(device(), shape_, target);
  visit_float(dtype_, [&](auto from) {
    visit_float(target, [&](auto to) {
      using From = decltype(from);
      using To = decltype(to);
      switch (device().kind()) {
        case DeviceKind::cpu:
          for (int64_t i = 0; i < elements(); ++i) out.data<To>()[i] = convert<From, To>(data<From>()[i]);
          break;
        case DeviceKind::simt:
        case DeviceKind::cuda:
          SIMT_CALL(device().kind(), convert_elements, device().stream(), data<From>(), out.data<To>(), elements());
          break;
      }
    });
  });
  return std::move(out).freeze();
}

Writable Tensor::into_writable() && {
  CHECK(defined(), "tensor: used before it was given a value");
  if (buffer_.use_count() == 1) return Writable(std::move(*this));
  Writable copy = empty(device(), shape_, dtype_);
  device().copy(copy.raw(), raw(), static_cast<size_t>(bytes()));
  return copy;
}

Tensor Tensor::clone() const {
  Writable copy = empty(device(), shape_, dtype_);
  device().copy(copy.raw(), raw(), static_cast<size_t>(bytes()));
  return std::move(copy).freeze();
}

void Tensor::require_one_element() const { CHECK(elements() == 1, "tensor: one number was asked of {}", describe()); }

void Tensor::copy_to_host(void* values) const { device().copy_to_host(values, raw(), static_cast<size_t>(bytes())); }

std::string Tensor::describe() const {
  return defined() ? std::string(name_of(dtype_)) + " " + shape_.to_string() : "undefined";
}

void Tensor::require_dtype(Dtype expected) const {
  CHECK(dtype_ == expected, "tensor: elements are {}, read as {}", name_of(dtype_), name_of(expected));
}

void require_same_device(std::string_view op, std::initializer_list<const Tensor*> inputs) {
  const Device* first = nullptr;
  for (const Tensor* input : inputs) {
    if (first == nullptr) first = &input->device();
    CHECK(&input->device() == first, "{}: its inputs lie on two devices, {} and {}; move them to one with to(device)",
          op, name_of(first->kind()), name_of(input->device().kind()));
  }
}

}  // namespace sae
