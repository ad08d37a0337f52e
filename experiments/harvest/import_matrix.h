#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "engine/tensor.h"

namespace sae {

/// A matrix of activations made by another program: rows of a .npy file, or of a tensor in a .safetensors file.
class ImportedMatrix {
 public:
  /// `tensor` names the one in a safetensors file; empty: the only matrix there is. Throws on files of other kinds,
  /// tensors that are no matrix of floats, and where several could be meant.
  ImportedMatrix(const std::string& path, const std::string& tensor, Device& device);

  int64_t rows() const { return rows_; }
  int64_t width() const { return width_; }
  /// Rows [begin, end) as f32.
  Tensor read(int64_t begin, int64_t end) const { return read_(begin, end); }

 private:
  int64_t rows_ = 0, width_ = 0;
  std::function<Tensor(int64_t, int64_t)> read_;
};

}  // namespace sae
