#pragma once

#include <string>
#include <vector>

#include "models/language_model/language_model.h"
#include "tests/models/reference_llama.h"
#include "tests/support/temporary_folder.h"

namespace sae::testing {

/// A file of the reference llama's two blocks of width 64, with a tokenizer of 17 tokens: the end of a text, the
/// letters a to o, and "ab".
class TinyModel {
 public:
  TinyModel() : file_(reference_.write(5)) {
    file_.text("tokenizer.ggml.model", "gpt2").text("tokenizer.ggml.pre", "smollm");
    std::vector<std::string> vocabulary = {"<|endoftext|>"};
    for (char letter = 'a'; letter < 'p'; ++letter) vocabulary.emplace_back(1, letter);
    vocabulary.emplace_back("ab");
    file_.texts("tokenizer.ggml.tokens", vocabulary).texts("tokenizer.ggml.merges", {"a b"});
  }

  const ReferenceLlama& reference() const { return reference_; }
  const GgufWriter& file() const { return file_; }
  std::string path() const { return folder_.write("tiny.gguf", file_.bytes()); }
  LanguageModel load(Device& device, Precision precision = Precision::f32) const {
    return LanguageModel::load(path(), device, precision);
  }

 private:
  ReferenceLlama reference_;
  GgufWriter file_;
  TemporaryFolder folder_;
};

}  // namespace sae::testing
