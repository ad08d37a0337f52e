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
  // 33 bytes of the file are a tensor, which takes 120 here
  sae::fuzz::try_reading(size, 4, 4096, [&] { const sae::GgufFile file(path); });
  // Q4_0 makes 128 bytes of 18
  sae::fuzz::try_reading(size, 8, 4096, [&] { use_tensors(sae::GgufFile(path)); });
  // 13 bytes of the file are a token with its text, kind, score and place in two tables
  sae::fuzz::try_reading(size, 8, 1 << 18, [&] { use_tokenizer(sae::GgufFile(path)); });
  return 0;
}
