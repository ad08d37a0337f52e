#include "experiments/common/device_option.h"

namespace sae {

void declare_device(Options& options) {
  options.text("device", "cpu", "cpu|simt|cuda",
               "where it runs: the processor, an NVIDIA GPU, or the GPU's kernels run by the processor (simt: slow, "
               "to test them)");
}

std::unique_ptr<Device> open_device(const Options& options) {
  return Device::open(parse_device_kind(options.get_text("device")));
}

}  // namespace sae
