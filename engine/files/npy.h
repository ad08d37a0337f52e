#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "engine/files/atomic_file.h"
#include "engine/files/mapped_file.h"
#include "engine/tensor.h"

namespace sae {

/// A NumPy array file (format 1.0 to 3.0), mapped: little-endian f2 f4 f8 i4 i8 u2, in row-major order, of rank 0 (read
/// as [1]) to 4.
class NpyFile {
 public:
  /// Throws, naming the file, what is wrong and, for what NumPy can change (order, dtype), how to change it.
  explicit NpyFile(std::string path);

  const std::string& name() const { return file_.name(); }
  const Shape& shape() const { return shape_; }
  /// Of the tensors that read() returns: f2 is read as f32.
  Dtype dtype() const { return dtype_; }
  /// A copy on the device.
  Tensor read(Device& device) const;
  /// Only rows [begin, end), for files larger than memory.
  Tensor read_rows(Device& device, int64_t begin, int64_t end) const;

 private:
  MappedFile file_;
  Shape shape_;
  Dtype dtype_ = Dtype::f32;
  bool is_half_ = false;
  int64_t data_begin_ = 0;
};

/// Writes format 1.0. Throws for bf16, which NumPy does not have.
void write_npy(const std::string& path, const Tensor& tensor, IfExists if_exists);

}  // namespace sae
