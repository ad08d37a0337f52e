#include "engine/cuda/blas.h"

#include <utility>

#include "engine/cuda/loaded_library.h"
#include "engine/error.h"
#include "engine/stream.h"

namespace sae::cuda {
namespace {

constexpr size_t workspace_bytes = size_t{32} << 20;  // what NVIDIA recommends for Hopper

void check_blas(cublasStatus_t status, const char* what) {
  CHECK(status == CUBLAS_STATUS_SUCCESS, "cuBLASLt: {}: status {}", what, static_cast<int>(status));
}

}  // namespace

/// The functions that are used, found by name.
struct Blas::Library {
  LoadedLibrary file{"cublasLt", CUBLAS_VER_MAJOR};
  decltype(&cublasLtCreate) create;
  decltype(&cublasLtDestroy) destroy;
  decltype(&cublasLtMatmulDescCreate) describe;
  decltype(&cublasLtMatmulDescDestroy) forget;
  decltype(&cublasLtMatmulDescSetAttribute) set;
  decltype(&cublasLtMatrixLayoutCreate) lay_out;
  decltype(&cublasLtMatrixLayoutDestroy) forget_layout;
  decltype(&cublasLtMatmulPreferenceCreate) prefer;
  decltype(&cublasLtMatmulPreferenceDestroy) forget_preference;
  decltype(&cublasLtMatmulPreferenceSetAttribute) set_preference;
  decltype(&cublasLtMatmulAlgoGetHeuristic) choose;
  decltype(&cublasLtMatmul) multiply;

  Library() {
    file.find(create, "cublasLtCreate");
    file.find(destroy, "cublasLtDestroy");
    file.find(describe, "cublasLtMatmulDescCreate");
    file.find(forget, "cublasLtMatmulDescDestroy");
    file.find(set, "cublasLtMatmulDescSetAttribute");
    file.find(lay_out, "cublasLtMatrixLayoutCreate");
    file.find(forget_layout, "cublasLtMatrixLayoutDestroy");
    file.find(prefer, "cublasLtMatmulPreferenceCreate");
    file.find(forget_preference, "cublasLtMatmulPreferenceDestroy");
    file.find(set_preference, "cublasLtMatmulPreferenceSetAttribute");
    file.find(choose, "cublasLtMatmulAlgoGetHeuristic");
    file.find(multiply, "cublasLtMatmul");
  }
};

struct Blas::Plan {
  explicit Plan(const Library& functions) : library(functions) {}
  ~Plan() {
    for (const cublasLtMatrixLayout_t layout : {a, b, y}) {
      if (layout != nullptr) library.forget_layout(layout);
    }
    if (product != nullptr) library.forget(product);
  }
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;

  const Library& library;
  cublasLtMatmulDesc_t product = nullptr;
  cublasLtMatrixLayout_t a = nullptr, b = nullptr, y = nullptr;
  cublasLtMatmulHeuristicResult_t chosen{};
};

Blas::Blas() : library_(std::make_unique<Library>()) { check_blas(library_->create(&handle_), "create"); }

Blas::~Blas() {
  plans_.clear();
  library_->destroy(handle_);
}

const Blas::Plan& Blas::plan(const Product& product) {
  std::unique_ptr<Plan>& kept = plans_[product];
  if (kept != nullptr) return *kept;
  const Library& library = *library_;
  auto plan = std::make_unique<Plan>(library);
  const cudaDataType_t scale = product.result;
  check_blas(library.describe(&plan->product, product.compute, scale), "describe a product");
  check_blas(library.set(plan->product, CUBLASLT_MATMUL_DESC_TRANSA, &product.op_a, sizeof product.op_a), "set");
  check_blas(library.set(plan->product, CUBLASLT_MATMUL_DESC_TRANSB, &product.op_b, sizeof product.op_b), "set");
  const auto lay_out = [&](cublasLtMatrixLayout_t& layout, cudaDataType_t type, bool transposed, int64_t rows,
                           int64_t cols) {
    if (transposed) std::swap(rows, cols);
    check_blas(library.lay_out(&layout, type, static_cast<uint64_t>(rows), static_cast<uint64_t>(cols), rows),
               "lay out a matrix");
  };
  lay_out(plan->a, product.factors, product.op_a == CUBLAS_OP_T, product.m, product.k);
  lay_out(plan->b, product.factors, product.op_b == CUBLAS_OP_T, product.k, product.n);
  lay_out(plan->y, product.result, false, product.m, product.n);
  cublasLtMatmulPreference_t preference = nullptr;
  check_blas(library.prefer(&preference), "create a preference");
  const uint64_t workspace = workspace_bytes;
  library.set_preference(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace, sizeof workspace);
  int found = 0;
  const cublasStatus_t status =
      library.choose(handle_, plan->product, plan->a, plan->b, plan->y, plan->y, preference, 1, &plan->chosen, &found);
  library.forget_preference(preference);
  CHECK(status == CUBLAS_STATUS_SUCCESS && found == 1,
        "cuBLASLt: no algorithm for a product of {} x {} x {}, status {}", product.m, product.k, product.n,
        static_cast<int>(status));
  kept = std::move(plan);
  return *kept;
}

void Blas::multiply(Device& device, const Product& product, const void* a, const void* b, void* y, bool accumulate) {
  const Plan& use = plan(product);
  const auto workspace = device.allocate(use.chosen.workspaceSize);
  const float one = 1, beta = accumulate ? 1 : 0;
  const double one64 = 1, beta64 = beta;
  const bool f64 = product.result == CUDA_R_64F;
  check_blas(library_->multiply(handle_, use.product, f64 ? static_cast<const void*>(&one64) : &one, a, use.a, b, use.b,
                                f64 ? static_cast<const void*>(&beta64) : &beta, y, use.y, y, use.y, &use.chosen.algo,
                                workspace->data(), use.chosen.workspaceSize,
                                static_cast<cudaStream_t>(device.stream().handle())),
             "multiply");
}

}  // namespace sae::cuda
