#include "engine/cuda/sparse.h"

#include "engine/cuda/loaded_library.h"
#include "engine/error.h"
#include "engine/stream.h"

namespace sae::cuda {
namespace {

void check_sparse(cusparseStatus_t status, const char* what) {
  CHECK(status == CUSPARSE_STATUS_SUCCESS, "cuSPARSE: {}: status {}", what, static_cast<int>(status));
}

}  // namespace

/// The functions that are used, found by name.
struct Sparse::Library {
  LoadedLibrary file{"cusparse", CUSPARSE_VER_MAJOR};
  decltype(&cusparseCreate) create;
  decltype(&cusparseDestroy) destroy;
  decltype(&cusparseSetStream) set_stream;
  decltype(&cusparseCreateConstCsr) describe_sparse;
  decltype(&cusparseDestroySpMat) forget_sparse;
  decltype(&cusparseCreateDnMat) describe_dense;
  decltype(&cusparseDestroyDnMat) forget_dense;
  decltype(&cusparseSpMM_bufferSize) scratch_bytes;
  decltype(&cusparseSpMM) multiply;

  Library() {
    file.find(create, "cusparseCreate");
    file.find(destroy, "cusparseDestroy");
    file.find(set_stream, "cusparseSetStream");
    file.find(describe_sparse, "cusparseCreateConstCsr");
    file.find(forget_sparse, "cusparseDestroySpMat");
    file.find(describe_dense, "cusparseCreateDnMat");
    file.find(forget_dense, "cusparseDestroyDnMat");
    file.find(scratch_bytes, "cusparseSpMM_bufferSize");
    file.find(multiply, "cusparseSpMM");
  }
};

Sparse::Sparse() : library_(std::make_unique<Library>()) { check_sparse(library_->create(&handle_), "create"); }

Sparse::~Sparse() { library_->destroy(handle_); }

void Sparse::multiply(Device& device, const Product& product) {
  const Library& library = *library_;
  struct Descriptions {
    explicit Descriptions(const Library& functions) : library(functions) {}
    ~Descriptions() {
      if (sparse != nullptr) library.forget_sparse(sparse);
      if (dense != nullptr) library.forget_dense(dense);
      if (y != nullptr) library.forget_dense(y);
    }
    Descriptions(const Descriptions&) = delete;
    Descriptions& operator=(const Descriptions&) = delete;
    const Library& library;
    cusparseConstSpMatDescr_t sparse = nullptr;
    cusparseDnMatDescr_t dense = nullptr, y = nullptr;
  } use(library);
  check_sparse(library.set_stream(handle_, static_cast<cudaStream_t>(device.stream().handle())), "set the stream");
  check_sparse(library.describe_sparse(&use.sparse, product.rows, product.cols, product.stored, product.offsets,
                                       product.index, product.values, CUSPARSE_INDEX_32I, CUSPARSE_INDEX_32I,
                                       CUSPARSE_INDEX_BASE_ZERO, product.type),
               "describe a sparse matrix");
  check_sparse(library.describe_dense(&use.dense, product.cols, product.width, product.width,
                                      const_cast<void*>(product.dense), product.type, CUSPARSE_ORDER_ROW),
               "describe a matrix");
  check_sparse(library.describe_dense(&use.y, product.rows, product.width, product.width, product.y, product.type,
                                      CUSPARSE_ORDER_ROW),
               "describe a matrix");
  const float one = 1, zero = 0;
  const double one64 = 1, zero64 = 0;
  const bool f64 = product.type == CUDA_R_64F;
  const void *alpha = f64 ? static_cast<const void*>(&one64) : &one,
             *beta = f64 ? static_cast<const void*>(&zero64) : &zero;
  constexpr cusparseOperation_t plain = CUSPARSE_OPERATION_NON_TRANSPOSE;
  constexpr cusparseSpMMAlg_t same_bits = CUSPARSE_SPMM_CSR_ALG3;
  size_t bytes = 0;
  check_sparse(library.scratch_bytes(handle_, plain, plain, alpha, use.sparse, use.dense, beta, use.y, product.type,
                                     same_bits, &bytes),
               "ask for scratch");
  const auto scratch = device.allocate(bytes);
  check_sparse(library.multiply(handle_, plain, plain, alpha, use.sparse, use.dense, beta, use.y, product.type,
                                same_bits, scratch->data()),
               "multiply");
}

}  // namespace sae::cuda
