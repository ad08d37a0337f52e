#include "ops/dead_latents/dead_latents_cuda.h"

#include "engine/scan_cuda.h"
#include "engine/simt.h"

namespace sae::SIMT_NAMESPACE {
namespace {

SIMT_KERNEL rows_since_fired_kernel(const int32_t* fired, int64_t latents, int64_t rows, int64_t* rows_since_fired,
                                    int* active) {
  int mine = 0;
  for (int64_t j = thread_in_grid(); j < latents; j += threads_in_grid()) {
    rows_since_fired[j] = fired[j] > 0 ? 0 : rows_since_fired[j] + rows;
    mine += fired[j];
  }
  if (mine > 0) atomicAdd(active, mine);  // whole numbers: the order does not matter
}

SIMT_KERNEL mark_dead_kernel(const int64_t* rows_since_fired, int64_t latents, int64_t dead_after, int64_t* marks,
                             int32_t* list, int64_t capacity) {
  for (int64_t j = thread_in_grid(); j < latents; j += threads_in_grid()) {
    marks[j] = rows_since_fired[j] >= dead_after ? 1 : 0;
    if (j < capacity) list[j] = static_cast<int32_t>(latents);
  }
}

// places[j]: how many dead latents there are up to j.
SIMT_KERNEL place_dead_kernel(const int64_t* places, int64_t latents, int32_t* list, int64_t capacity, int* dead) {
  for (int64_t j = thread_in_grid(); j < latents; j += threads_in_grid()) {
    const int64_t before = j == 0 ? 0 : places[j - 1];
    if (places[j] > before && before < capacity) list[before] = static_cast<int32_t>(j);
    if (j == latents - 1) *dead = static_cast<int>(places[j]);
  }
}

}  // namespace

void count_rows_since_fired(const Stream& stream, const int32_t* fired, int64_t latents, int64_t rows,
                            int64_t* rows_since_fired, int* active) {
  launch(stream, rows_since_fired_kernel, blocks_for(latents), threads_per_block, 0, fired, latents, rows,
         rows_since_fired, active);
}

void list_dead(Device& device, const int64_t* rows_since_fired, int64_t latents, int64_t dead_after, int32_t* list,
               int64_t capacity, int* dead) {
  const auto room = device.allocate(static_cast<size_t>(latents) * sizeof(int64_t));
  auto* const places = static_cast<int64_t*>(room->data());
  launch(device.stream(), mark_dead_kernel, blocks_for(latents), threads_per_block, 0, rows_since_fired, latents,
         dead_after, places, list, capacity);
  inclusive_sum(device, places, latents);
  launch(device.stream(), place_dead_kernel, blocks_for(latents), threads_per_block, 0, places, latents, list, capacity,
         dead);
}

}  // namespace sae::SIMT_NAMESPACE
