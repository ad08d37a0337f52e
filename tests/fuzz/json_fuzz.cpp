// Any JSON, as config.json is read: every value is visited, printed, and asked to be what it is not.
#include "engine/files/json.h"
#include "tests/fuzz/fuzzed_file.h"

namespace {

void visit(const sae::Json& json) {
  if (json.is_array() || json.is_object()) {
    for (int64_t i = 0; i < json.size(); ++i) visit(json.at(i));
    return;
  }
  try {
    json.integer();
  } catch (const sae::Error&) {
    json.number();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const sae::fuzz::FuzzedFile input;
  const std::string& path = input.write(data, size);
  sae::Json json;
  // the densest, [{},{},...], takes two nodes and an empty table here for every three bytes, in lists that double
  sae::fuzz::try_reading(size, 56, 1 << 16, [&] { json = sae::Json::read(path); });
  const std::string text = json.dump();
  if (sae::Json::parse(text, "what was printed").dump() != text) std::abort();
  sae::fuzz::try_reading(size, 64, 1 << 16, [&] { visit(json); });
  return 0;
}
