// The pickle in a file of torch.save, without the archive around it, whose checksum few inputs would pass.
#include "engine/files/pickle.h"
#include "tests/fuzz/fuzzed_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  sae::fuzz::try_reading(size, 700, 1 << 14, [&] {
    sae::Pickle::parse({reinterpret_cast<const std::byte*>(data), size}, "input");
  });
  return 0;
}
