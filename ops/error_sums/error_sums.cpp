#include "ops/error_sums/error_sums.h"

#include "engine/error.h"
#include "ops/error_sums/error_sums_cpu.h"
#include "ops/error_sums/error_sums_cuda.h"

namespace sae {
namespace {

constexpr int64_t numbers_of_a_row = sizeof(RowErrors) / sizeof(double);

template <class T>
void add_on(Device& device, const ErrorTask<T>& task) {
  switch (device.kind()) {
    case DeviceKind::cpu:
      return cpu::add_errors(task);
    case DeviceKind::simt:
    case DeviceKind::cuda:
      return SIMT_CALL(device.kind(), add_errors, device.stream(), task);
  }
}

}  // namespace

ErrorSums::ErrorSums(const Tensor& mean)
    : mean_(mean.to(Dtype::f64)), sums_(Tensor::zeros(mean.device(), {2, mean.elements()}, Dtype::f64)) {}

std::vector<RowErrors> ErrorSums::add(const Tensor& x, const Tensor& y, const Value& latents) {
  const Tensor& stored = stored_values(latents);
  CHECK(x.shape().rank() == 2 && x.cols() == mean_.elements() && y.shape() == x.shape() &&
            rows_of(latents) == x.rows() && y.dtype() == x.dtype() && stored.dtype() == x.dtype(),
        "error_sums: rows {}, their reconstructions {} and latents {} for width {}; expected equally many rows of one "
        "dtype",
        x.describe(), y.describe(), describe(latents), mean_.elements());
  require_same_device("error_sums", {&mean_, &x, &y, &stored});
  Writable found = Tensor::empty(x.device(), {x.rows(), numbers_of_a_row}, Dtype::f64);
  const bool dense = std::holds_alternative<Tensor>(latents);
  visit_real("error_sums", x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    add_on<T>(x.device(),
              {.x = x.data<T>(),
               .y = y.data<T>(),
               .mean = mean_.data<double>(),
               .rows = x.rows(),
               .width = x.cols(),
               .entries = dense ? SparseRows{.rows = x.rows(), .k = stored.cols()} : sparse_rows("error_sums", latents),
               .latents = stored.data<T>(),
               .of_rows = found.data<double>(),
               .sums = const_cast<double*>(sums_.data<double>())});
  });
  const std::vector<double> numbers = std::move(found).freeze().to_vector<double>();
  std::vector<RowErrors> of_rows;
  for (size_t i = 0; i < numbers.size(); i += numbers_of_a_row) {
    of_rows.push_back({numbers[i], numbers[i + 1], numbers[i + 2], numbers[i + 3]});
  }
  return of_rows;
}

std::vector<double> ErrorSums::x_sum() const { return sums_.slice_rows(0, 1).to_vector<double>(); }
std::vector<double> ErrorSums::error_sum() const { return sums_.slice_rows(1, 2).to_vector<double>(); }

}  // namespace sae
