// A GGUF file: its metadata, every tensor's elements, the tokenizer.
#include "models/language_model/dequantise.h"
#include "models/language_model/gguf.h"
#include "models/language_model/tokenizer.h"
#include "tests/fuzz/fuzzed_file.h"

namespace {

void use_tensors(const sae::GgufFile& file) {
  std::vector<float> values;
  for (const auto& info : file.tensors()) {
    const auto& tensor = file.tensor(info.name, info.shape);
    values.resize(static_cast<size_t>(tensor.shape.elements()));
    file.read(tensor, values);
  }
}

void use_tokenizer(const sae::GgufFile& file) {
  sae::Tokenizer tokenizer(file);
  std::vector<int32_t> ids;
  for (const bool special : {false, true}) tokenizer.encode("ab ab\n12 <s>\xff\xc3\xa9 aaaaaaaa", ids, special);
  tokenizer.decode(ids);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const sae::fuzz::FuzzedFile input;
  const std::string& path = input.write(data, size);
  // an entry of the header takes at least 13 bytes of the file and a node of a map here
  sae::fuzz::try_reading(size, 16, 4096, [&] { const sae::GgufFile file(path); });
  sae::fuzz::try_reading(size, 32, 4096, [&] { use_tensors(sae::GgufFile(path)); });
  sae::fuzz::try_reading(size, 64, 1 << 18, [&] { use_tokenizer(sae::GgufFile(path)); });
  return 0;
}
