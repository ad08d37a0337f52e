#include "ops/dead_latents/dead_latents.h"

#include "engine/error.h"
#include "ops/dead_latents/dead_latents_cuda.h"
#include "ops/firings/firings_cuda.h"

namespace sae {
namespace {

constexpr std::string_view op = "dead_latents";

/// Memory that this file alone writes, in the order of the stream.
template <class T>
T* in_place(const Tensor& tensor) {
  return const_cast<T*>(tensor.data<T>());
}

}  // namespace

DeadLatents::DeadLatents(Device& device, const std::vector<int64_t>& rows_since_fired, int64_t dead_after,
                         int64_t capacity)
    : rows_since_fired_(Tensor::from(device, {static_cast<int64_t>(rows_since_fired.size())}, rows_since_fired)),
      listed_(Tensor::empty(device, {capacity}, Dtype::i32).freeze()),
      dead_after_(dead_after) {
  if (device.kind() == DeviceKind::cpu) refuse_device(op, device.kind());
  CHECK(0 <= capacity && capacity <= rows_since_fired_.elements(), "{}: room for {} of {} latents", op, capacity,
        rows_since_fired_.elements());
}

void DeadLatents::list(int* dead) {
  Device& device = listed_.device();
  SIMT_CALL(device.kind(), list_dead, device, rows_since_fired_.data<int64_t>(), rows_since_fired_.elements(),
            dead_after_, in_place<int32_t>(listed_), capacity(), dead);
}

void DeadLatents::count(const RowSparse& latents, float above, int* active) {
  Device& device = listed_.device();
  Writable fired = Tensor::empty(device, {latents.cols}, Dtype::i32);
  device.clear(fired.raw(), static_cast<size_t>(fired.bytes()));
  SIMT_CALL(device.kind(), add_firings, device.stream(), latents.values.data<float>(),
            latents.columns.index().data<int32_t>(), latents.values.elements(), latents.cols, above,
            fired.data<int32_t>());
  SIMT_CALL(device.kind(), count_rows_since_fired, device.stream(), fired.data<int32_t>(), latents.cols,
            latents.columns.rows(), in_place<int64_t>(rows_since_fired_), active);
}

}  // namespace sae
