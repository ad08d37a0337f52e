#pragma once

#include <cublasLt.h>

#include <compare>
#include <cstdint>
#include <map>
#include <memory>

#include "engine/device.h"

namespace sae::cuda {

/// cuBLASLt (LoadedLibrary). One of these belongs to each stream.
class Blas {
 public:
  Blas();
  ~Blas();
  Blas(const Blas&) = delete;
  Blas& operator=(const Blas&) = delete;

  /// y (column-major [m, n]) = op(a) op(b), or, accumulating, y += that; both column-major, leading dimensions as they
  /// are stored.
  struct Product {
    cudaDataType_t factors, result;
    cublasComputeType_t compute;
    cublasOperation_t op_a, op_b;
    int64_t m, n, k;
    auto operator<=>(const Product&) const = default;
  };
  void multiply(Device& device, const Product& product, const void* a, const void* b, void* y, bool accumulate);

 private:
  struct Library;
  struct Plan;
  const Plan& plan(const Product& product);

  std::unique_ptr<Library> library_;
  cublasLtHandle_t handle_ = nullptr;
  std::map<Product, std::unique_ptr<Plan>> plans_;  // by shape
};

}  // namespace sae::cuda
