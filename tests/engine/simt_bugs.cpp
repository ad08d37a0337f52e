// Runs one kernel of simt_kernels.h by name, in a program that is built with a sanitizer: what the sanitizer says is
// the test (tests/CMakeLists.txt). `right` runs those without a mistake, of which it must say nothing.
#include <cstdio>
#include <cstring>
#include <vector>

#include "engine/simt/simt_device.h"
#include "tests/engine/simt_kernels.h"

using namespace sae::simt;

int main(int argc, char** argv) {
  const char* name = argc > 1 ? argv[1] : "";
  const auto is = [&](const char* other) { return std::strcmp(name, other) == 0; };
  SimtDevice device;
  const sae::Stream& stream = device.stream();
  const auto buffer = device.allocate(100 * sizeof(float));
  auto* out = static_cast<float*>(buffer->data());
  if (is("right")) {
    for (uint64_t schedule = 0; schedule < 2; ++schedule) {
      SimtDevice shuffled(schedule);
      std::vector<float> x(3 * 50, 1.0f), sums(3);
      launch(shuffled.stream(), row_sum<float>, 3, 64, 0, x.data(), sums.data(), 50);
      std::vector<int> ones(64, 1), counted(64);
      launch(shuffled.stream(), prefix_sum, 1, 64, 64 * sizeof(int), ones.data(), counted.data());
      if (sums[2] != 50 || counted[63] != 64) return 1;
    }
    try {  // abandoned fibers are taken up again
      launch(stream, divergent_barrier, 1, 64, 0, out);
      return 1;
    } catch (const std::exception&) {
    }
    launch(stream, global_overrun, 1, 64, 0, out, 63u);
    std::puts("nothing to say");
  } else if (is("missing_barrier")) {
    launch(stream, missing_barrier, 1, 64, 0, out);
  } else if (is("missing_barrier_between_two")) {
    launch(stream, missing_barrier_between_two, 1, 64, 0, out);
  } else if (is("missing_warp_barrier_between_two")) {
    launch(stream, missing_warp_barrier_between_two, 1, 32, 0, out);
  } else if (is("shuffle_for_a_fence")) {
    launch(stream, shuffle_for_a_fence, 1, 32, 0, out);
  } else if (is("blocks_race")) {
    launch(stream, blocks_race, 2, 1, 0, out);
  } else if (is("blocks_race_past_barriers")) {
    launch(stream, blocks_race_past_barriers, 2, 32, 0, out);
  } else if (is("shared_overrun")) {
    launch(stream, shared_overrun, 1, 32, 0, out);
  } else if (is("global_overrun")) {
    launch(stream, global_overrun, 1, 128, 0, out, 100u);
  } else if (is("after_free")) {
    auto* freed = static_cast<float*>(device.allocate(4096)->data());
    launch(stream, global_overrun, 1, 32, 0, freed, 31u);
  } else {
    std::printf("no kernel '%s'\n", name);
    return 2;
  }
  return 0;
}
