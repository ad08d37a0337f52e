#include "experiments/common/model_option.h"

#include <cstdlib>
#include <filesystem>

#include "engine/error.h"
#include "engine/parallel.h"
#include "models/language_model/gguf.h"

namespace sae {

std::string fetched_path(const std::string& name) {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  const char* home = std::getenv("HOME");
  const std::string base =
      cache != nullptr && *cache != '\0' ? cache : (home != nullptr ? home : ".") + std::string("/.cache");
  return base + "/sae.cpp/" + name;
}

std::string fetched_model_path() { return fetched_path("models/SmolLM2-135M-Instruct.Q4_1.gguf"); }

void declare_model(Options& options, bool with_precision) {
  options.text("model", "PATH",
               "the language model: a GGUF file, or a Hugging Face folder; without it, the one that "
               "experiments/fetch.sh fetched");
  if (with_precision) {
    options.text("precision", "bf16", "f32|bf16",
                 "of the products with the model's weights; the residual stream is float32 in any case");
  }
  options.integer("threads", 0, "N", "threads; 0: as many as there are cores");
}

std::string model_path(const Options& options) {
  if (options.given("model")) return options.get_text("model");
  std::string path = fetched_model_path();
  CHECK(std::filesystem::exists(path), "no model at '{}': run 'experiments/fetch.sh --model', or name one with --model",
        path);
  return path;
}

Precision model_precision(const Options& options) {
  const std::string text = options.get_text("precision");
  CHECK(text == "f32" || text == "bf16", "--precision: expected f32 or bf16, got '{}'", text);
  return text == "bf16" ? Precision::bf16 : Precision::f32;
}

void declare_beginning(Options& options, const std::string& what) {
  options.text(
      "bos", "auto", "auto|on|off",
      "the model's beginning-of-text token before " + what + "; auto: where its files say that it expects one");
}

bool wants_beginning(const Options& options, const Tokenizer& tokenizer, std::optional<bool> learnt) {
  const std::string text = options.get_text("bos");
  CHECK(text == "auto" || text == "on" || text == "off", "--bos: expected auto, on or off, got '{}'", text);
  const bool wanted = text == "auto" ? learnt.value_or(tokenizer.adds_beginning()) : text == "on";
  CHECK(!wanted || tokenizer.beginning_of_text() >= 0, "--bos on: the model's files name no such token");
  return wanted;
}

Tokenizer open_tokenizer(const std::string& path) {
  return std::filesystem::is_directory(path) ? Tokenizer::from_folder(path) : Tokenizer(GgufFile(path));
}

void apply_threads(const Options& options) {
  const int64_t threads_wanted = options.get_integer("threads", 0, 4096);
  if (threads_wanted > 0) set_threads(static_cast<int>(threads_wanted));
}

}  // namespace sae
