// A safetensors file: its header and every tensor.
#include "engine/device.h"
#include "engine/files/safetensors.h"
#include "tests/fuzz/fuzzed_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const sae::fuzz::FuzzedFile input;
  static const auto device = sae::Device::open(sae::DeviceKind::cpu);
  const std::string& path = input.write(data, size);
  // Tensors take twice their lines of the header. Most is taken by a number as long as the file: it stands in two
  // buffers of the JSON library, which double as they grow, and in the error's text.
  sae::fuzz::try_reading(size, 12, 1 << 14, [&] {
    const sae::SafetensorsFile file(path);
    for (const std::string& name : file.names()) {
      if (file.entry(name).stored_dtype[0] != 'U') file.read(*device, name);
    }
  });
  return 0;
}
