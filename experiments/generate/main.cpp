// Continues a prompt: a person sees at once whether the language model is right.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <optional>

#include "engine/error.h"
#include "experiments/common/device_option.h"
#include "experiments/common/model_option.h"
#include "experiments/common/options.h"
#include "experiments/common/subject.h"
#include "experiments/generate/sampler.h"
#include "experiments/generate/steering.h"
#include "models/language_model/language_model.h"

namespace sae {
namespace {

constexpr const char* description = R"(Continues a prompt with a language model, token by token.

The prompt and its continuation go to standard output, speeds to standard error. By default every token is the likeliest
one, so that the same prompt always gives the same text; with --temperature 1 tokens are drawn by their probabilities.

  generate --prompt "The capital of France is" --tokens 20
  generate --prompt "What is a sparse autoencoder?" --chat --tokens 100

With --sae, latents of an autoencoder can be held at values while the model writes (encode shows which fire, and how
strongly): at its place the residual stream gets decode(clamped latents) - decode(latents), and keeps what the
autoencoder does not reconstruct. Position 0, which is no part of an autoencoder's training, stays as it is.

  generate --prompt "I went to the market and" --sae runs/topk32/autoencoder.safetensors --clamp 164=0.5)";

void declare(Options& options) {
  options.group("What to continue");
  options.text("prompt", "TEXT", "the text to continue");
  options.flag("chat", "wrap the prompt as a chat model's user message, and stop at the end of its answer");
  options.flag("special-tokens", "read <|im_start|> and the like in the prompt as single tokens, not as plain text");
  declare_beginning(options, "the prompt");
  options.integer("tokens", 40, "N", "how many tokens to add at most");
  options.flag("ignore-end", "go on after the token that ends a text");
  options.group("How to choose");
  options.number("temperature", 0, "T", "0 takes the likeliest token; 1 draws by the model's probabilities");
  options.integer("top-k", 0, "K", "draw among the K likeliest tokens only; 0: among all");
  options.integer("seed", 0, "N", "of the draws");
  options.group("What is changed on the way");
  options.text("sae", "FILE", "an autoencoder, as train saves it");
  options.text("clamp", "", "LATENT=VALUE,...", "latents of it that are held at a value");
  options.group("With which model");
  declare_model(options);
  declare_device(options);
}

/// The messages as SmolLM2 and other models with <|im_start|> were trained on them.
std::string chat_text(LanguageModel& model, const std::string& message) {
  const std::vector<int32_t> mark = model.tokenizer().encode("<|im_start|>", true);
  CHECK(mark.size() == 1 && model.tokenizer().is_special(mark[0]),
        "--chat: {} has no token <|im_start|>; write its own marks into --prompt, with --special-tokens", model.name());
  return "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
         "<|im_start|>user\n" +
         message + "<|im_end|>\n<|im_start|>assistant\n";
}

struct Steering {
  std::optional<Intervention> intervention;
  std::optional<bool> beginning;  ///< did the contexts that the autoencoder was trained on start with its token?
};

Steering steering_option(const Options& options, const LanguageModel& model, Device& device) {
  CHECK(options.given("sae") || !options.given("clamp"), "--clamp: whose latents? Name an autoencoder with --sae");
  if (!options.given("sae")) return {};
  const std::string path = options.get_text("sae");
  LoadedAutoencoder loaded = load_autoencoder(path, device);
  check_subject(path, loaded, model);
  std::vector<LatentClamp> clamps = parse_clamps(options.get_text("clamp"), loaded.autoencoder.options());
  const Subject subject = subject_of(loaded, model);
  return {steering(std::move(loaded.autoencoder), subject.place, std::move(clamps)), subject.beginning};
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

int generate(const Options& options) {
  apply_threads(options);
  const std::string prompt = options.get_text("prompt");
  const int64_t wanted = options.get_integer("tokens", 1, 1 << 24);
  const bool chat = options.get_flag("chat");
  Sampler sampler({options.get_number("temperature"), options.get_integer("top-k"),
                   static_cast<uint64_t>(options.get_integer("seed"))});

  const auto start = std::chrono::steady_clock::now();
  const auto device = open_device(options);
  LanguageModel model = LanguageModel::load(model_path(options), *device, model_precision(options));
  const Steering steering = steering_option(options, model, *device);
  const Intervention* steered = steering.intervention ? &*steering.intervention : nullptr;
  const double load_seconds = seconds_since(start);

  std::vector<int32_t> ids;
  if (wants_beginning(options, model.tokenizer(), steering.beginning))
    ids.push_back(model.tokenizer().beginning_of_text());
  model.tokenizer().encode(chat ? chat_text(model, prompt) : prompt, ids, chat || options.get_flag("special-tokens"));
  CHECK(!ids.empty(), "the prompt is empty; give some text to --prompt");
  KeyValueCache cache = model.make_cache(static_cast<int64_t>(ids.size()) + wanted);
  if (!chat) fmt::print("{}", prompt);
  std::fflush(stdout);

  const auto prompt_start = std::chrono::steady_clock::now();
  Tensor logits = model.extend(cache, ids, steered);
  const double prompt_seconds = seconds_since(prompt_start);
  const auto text_start = std::chrono::steady_clock::now();
  int64_t added = 0;
  // an embedding may be padded by rows that are no tokens
  const auto choices = static_cast<size_t>(std::min<int64_t>(logits.cols(), model.tokenizer().size()));
  while (added < wanted) {
    const std::vector<float> scores = logits.to_vector<float>();
    const int32_t id = sampler.choose({scores.data(), choices});
    const bool ends = id == model.tokenizer().end_of_turn() || id == model.tokenizer().end_of_text();
    if (ends && !options.get_flag("ignore-end")) break;
    fmt::print("{}", model.tokenizer().piece(id));
    std::fflush(stdout);
    if (++added < wanted) logits = model.extend(cache, std::span<const int32_t>(&id, 1), steered);
  }
  const double text_seconds = seconds_since(text_start);
  fmt::print("\n");
  fmt::print(stderr, "{}: loaded in {:.2f} s; prompt {} tokens, {:.0f} tokens/s; text {} tokens, {:.0f} tokens/s\n",
             model.name(), load_seconds, ids.size(), static_cast<double>(ids.size()) / prompt_seconds, added,
             static_cast<double>(added) / text_seconds);
  return 0;
}

}  // namespace
}  // namespace sae

int main(int argc, char** argv) {
  sae::Options options("generate", sae::description);
  sae::declare(options);
  return sae::run_program(options, argc, argv, [&] { return sae::generate(options); });
}
