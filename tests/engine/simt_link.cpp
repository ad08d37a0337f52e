// Links nvcc's and the host compiler's object of one kernel source, and runs the latter: CMake links this program in
// both orders, because two definitions of one name would silently become one.
#include <cstdio>

#include "engine/simt/simt_device.h"
#include "tests/engine/simt_link_cuda.h"

int main() {
  const sae::simt::SimtDevice device;
  int counter = 0;
  sae::simt::count_block(device.stream(), &counter, 7);
  void (*volatile on_gpu)(const sae::Stream&, int*, unsigned) = &sae::cuda::count_block;  // so that it is linked
  std::printf("%d of 7 threads ran\n", counter);
  return counter == 7 && on_gpu != &sae::simt::count_block ? 0 : 1;
}
