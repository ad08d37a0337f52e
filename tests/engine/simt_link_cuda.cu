#include "tests/engine/simt_link_cuda.h"

#include "engine/simt.h"

namespace sae::SIMT_NAMESPACE {

SIMT_KERNEL count_block_kernel(int* counter) { atomicAdd(counter, 1); }

void count_block(const Stream& stream, int* counter, unsigned threads) {
  launch(stream, count_block_kernel, 1, threads, 0, counter);
}

}  // namespace sae::SIMT_NAMESPACE
