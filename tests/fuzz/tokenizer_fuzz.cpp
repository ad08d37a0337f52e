// A folder with tokenizer.json: text is encoded, and what decoding gives is encoded again.
#include <filesystem>

#include "models/language_model/tokenizer.h"
#include "tests/fuzz/fuzzed_file.h"

namespace {

/// A folder whose tokenizer.json is the file in memory; removed at the end of the program.
class Folder {
 public:
  explicit Folder(const std::string& target) {
    std::string name = (std::filesystem::temp_directory_path() / "fuzz_tokenizer_XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    path_ = name;
    std::filesystem::create_symlink(target, path_ + "/tokenizer.json");
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const sae::fuzz::FuzzedFile input;
  static const Folder folder(input.path());
  input.write(data, size);
  // Tokens and merges take eight times their lines: text, kind, score and places in two tables. Most, as in
  // safetensors_fuzz.cpp, is taken by a number as long as the file.
  sae::fuzz::try_reading(size, 12, 1 << 18, [&] {
    sae::Tokenizer tokenizer = sae::Tokenizer::from_folder(folder.path());
    std::vector<int32_t> ids;
    for (const bool special : {false, true}) {
      tokenizer.encode(
          "ab ab\n12 <s><|end|>\xff\xc3\xa9 \u2581"
          "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
          ids, special);
    }
    tokenizer.encode(tokenizer.decode(ids));
  });
  return 0;
}
