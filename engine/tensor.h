#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/device.h"
#include "engine/dtype.h"
#include "engine/shape.h"

namespace sae {

class Writable;

/// A dense, contiguous, row-major array on a device. Copying shares the memory. A tensor is immutable once built: an
/// op fills a Writable and freezes it. (A Parameter's tensor is the one exception: the optimiser rewrites it in place.)
class Tensor {
 public:
  Tensor() = default;

  /// Uninitialised memory to be filled, then frozen.
  static Writable empty(Device& device, Shape shape, Dtype dtype);
  static Tensor zeros(Device& device, Shape shape, Dtype dtype);
  /// A copy of host values; their number must be the shape's.
  template <class T>
  static Tensor from(Device& device, Shape shape, std::span<const T> values) {
    return from_bytes(device, shape, dtype_of<T>(), values.data(), static_cast<int64_t>(values.size()));
  }
  template <class T>
  static Tensor from(Device& device, Shape shape, const std::vector<T>& values) {
    return from(device, shape, std::span<const T>(values));
  }
  /// One element, shape [1].
  template <class T>
  static Tensor scalar(Device& device, T value) {
    return from(device, {1}, std::span<const T>(&value, 1));
  }

  bool defined() const { return buffer_ != nullptr; }
  Device& device() const { return buffer_->device(); }
  Dtype dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  int64_t rows() const { return shape_.rows(); }
  int64_t cols() const { return shape_.cols(); }
  int64_t elements() const { return shape_.elements(); }
  int64_t bytes() const { return elements() * size_of(dtype_); }

  /// The first element, row-major. Throws if T is not the tensor's dtype. Host-readable only on cpu and simt.
  template <class T>
  const T* data() const {
    require_dtype(dtype_of<T>());
    return static_cast<const T*>(raw());
  }
  const void* raw() const;

  /// Rows [begin, end): the only view of part of a tensor. It shares memory.
  Tensor slice_rows(int64_t begin, int64_t end) const;
  /// The same memory under another shape of as many elements.
  Tensor with_shape(Shape shape) const;
  /// This tensor if it is on that device already, else a copy.
  Tensor to(Device& device) const;
  /// This tensor if it has that dtype, else converted (f32, f64 and bf16 among each other).
  Tensor to(Dtype dtype) const;
  /// Gives up this handle for a writable one: of the same memory where nobody else holds it, else of a copy. So a
  /// chain of steps updates one buffer in place, and whoever kept a tensor still sees what it was.
  Writable into_writable() &&;
  /// A copy in memory of its own.
  Tensor clone() const;
  /// A copy of all elements on the host.
  template <class T>
  std::vector<T> to_vector() const {
    require_dtype(dtype_of<T>());
    std::vector<T> values(static_cast<size_t>(elements()));
    copy_to_host(values.data());
    return values;
  }
  /// The only element, on the host. Waits for the device.
  template <class T>
  T item() const {
    require_dtype(dtype_of<T>());
    require_one_element();
    T value;
    copy_to_host(&value);
    return value;
  }
  /// Do both share one memory, at the same place? How two layouts are known to have one pattern.
  bool same_memory(const Tensor& other) const { return buffer_ == other.buffer_ && offset_ == other.offset_; }
  /// "f32 [2, 3]"
  std::string describe() const;

 private:
  friend class Writable;
  friend class Parameter;
  static Tensor from_bytes(Device& device, Shape shape, Dtype dtype, const void* values, int64_t count);
  void require_dtype(Dtype expected) const;
  void require_one_element() const;
  void copy_to_host(void* values) const;

  std::shared_ptr<Buffer> buffer_;
  int64_t offset_ = 0;  // bytes
  Shape shape_;
  Dtype dtype_ = Dtype::f32;
};

/// A tensor under construction: the only handle through which elements are written. Move-only; freeze() ends it.
class Writable {
 public:
  Writable(Writable&&) = default;
  Writable& operator=(Writable&&) = default;
  Writable(const Writable&) = delete;
  Writable& operator=(const Writable&) = delete;

  template <class T>
  T* data() {
    tensor_.require_dtype(dtype_of<T>());
    return static_cast<T*>(raw());
  }
  void* raw() { return const_cast<void*>(tensor_.raw()); }
  const Shape& shape() const { return tensor_.shape(); }
  int64_t bytes() const { return tensor_.bytes(); }
  Tensor freeze() && { return std::move(tensor_); }

 private:
  friend class Tensor;
  explicit Writable(Tensor tensor) : tensor_(std::move(tensor)) {}
  Tensor tensor_;
};

/// Throws, naming the op, unless all inputs lie on one device: a kernel that was handed another's memory could not.
void require_same_device(std::string_view op, std::initializer_list<const Tensor*> inputs);

}  // namespace sae
