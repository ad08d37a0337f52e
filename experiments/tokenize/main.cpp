// Shows how a language model cuts text into tokens, and puts tokens back together.
#include <fmt/format.h>

#include <cstdio>
#include <iostream>
#include <iterator>
#include <limits>

#include "engine/error.h"
#include "engine/files/json.h"
#include "engine/files/mapped_file.h"
#include "experiments/common/model_option.h"
#include "experiments/common/options.h"
#include "experiments/tokenize/printable.h"
#include "models/language_model/tokenizer.h"

namespace sae {
namespace {

constexpr const char* description =
    R"(Shows how a language model cuts text into tokens: one JSON line a text, of ids and pieces.

The beginning-of-text token that a model expects stands in front of the ids (--bos). Special tokens such as
<|im_start|> are read as the characters they are, unless --special-tokens says otherwise.

Texts come from --text, from the named files, or from standard input. A piece that is a part of a character is written
by its bytes, as <0xE6>. Bytes that the model has no token for are left out; "lost_bytes" counts them.

  tokenize --text "The capital of France is"
  tokenize --lines < sentences.txt
  tokenize --special-tokens --text "<|im_start|>user"
  tokenize --decode 504,3575,282,4649,314)";

void declare(Options& options) {
  options.group("What to cut");
  options.text("text", "TEXT", "a text");
  options.positional("file", "files, each a text");
  options.flag("lines", "every line of the input is a text of its own, without its line's end");
  options.flag("special-tokens", "read <|im_start|> and the like as single tokens, not as plain text");
  declare_beginning(options, "every text");
  options.group("What to put together");
  options.text("decode", "IDS", "print the text of these ids, such as 504,3575");
  options.group("With which model");
  declare_model(options, false);
}

void print_tokens(Tokenizer& tokenizer, std::string_view text, const Options& options) {
  std::vector<int32_t> ids;
  if (wants_beginning(options, tokenizer)) ids.push_back(tokenizer.beginning_of_text());
  const int64_t lost = tokenizer.encode(text, ids, options.get_flag("special-tokens"));
  std::vector<std::string> pieces;
  for (const int32_t id : ids) pieces.push_back(printable(tokenizer.piece(id)));
  Json line = Json::object();
  line.set("ids", std::vector<int64_t>(ids.begin(), ids.end())).set("pieces", pieces);
  if (lost > 0) line.set("lost_bytes", lost);
  fmt::print("{}\n", line.dump());
}

void print_all(Tokenizer& tokenizer, std::string_view text, const Options& options) {
  if (!options.get_flag("lines")) return print_tokens(tokenizer, text, options);
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    print_tokens(tokenizer, text.substr(0, end), options);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

int tokenize(const Options& options) {
  apply_threads(options);
  Tokenizer tokenizer = open_tokenizer(model_path(options));
  if (options.given("decode")) {
    std::vector<int32_t> ids;
    for (const int64_t id : options.get_integers("decode")) {
      CHECK(0 <= id && id < tokenizer.size(), "--decode: no token {}; there are {}", id, tokenizer.size());
      ids.push_back(static_cast<int32_t>(id));
    }
    fmt::print("{}\n", tokenizer.decode(ids));
    return 0;
  }
  const std::vector<std::string> files = options.get_texts("file");
  if (options.given("text")) print_all(tokenizer, options.get_text("text"), options);
  for (const std::string& name : files) {
    const MappedFile file(name);
    print_all(tokenizer, {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()}, options);
  }
  if (!options.given("text") && files.empty()) {
    print_all(tokenizer, std::string(std::istreambuf_iterator<char>(std::cin), {}), options);
  }
  return 0;
}

}  // namespace
}  // namespace sae

int main(int argc, char** argv) {
  sae::Options options("tokenize", sae::description);
  sae::declare(options);
  return sae::run_program(options, argc, argv, [&] { return sae::tokenize(options); });
}
