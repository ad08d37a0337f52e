#pragma once

#include <cusparse.h>

#include <cstdint>
#include <memory>

#include "engine/device.h"

namespace sae::cuda {

/// cuSPARSE (LoadedLibrary). One of these belongs to each stream.
class Sparse {
 public:
  Sparse();
  ~Sparse();
  Sparse(const Sparse&) = delete;
  Sparse& operator=(const Sparse&) = delete;

  /// y [rows, width] = sparse [rows, cols] (CSR) times dense [cols, width], both row-major, all of one type.
  struct Product {
    int64_t rows = 0, cols = 0, width = 0, stored = 0;
    cudaDataType type = CUDA_R_32F;
    const int32_t* offsets = nullptr;  // [rows + 1]
    const int32_t* index = nullptr;    // [stored]
    const void *values = nullptr, *dense = nullptr;
    void* y = nullptr;
  };
  /// By the algorithm that gives the same bits from run to run.
  void multiply(Device& device, const Product& product);

 private:
  struct Library;
  std::unique_ptr<Library> library_;
  cusparseHandle_t handle_ = nullptr;
};

}  // namespace sae::cuda
