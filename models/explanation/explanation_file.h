#pragma once

#include <functional>
#include <string>
#include <vector>

#include "engine/files/json.h"
#include "models/explanation/pattern_trie.h"

namespace sae {

/// What is known of one latent and written to a line of explanations.jsonl.
struct Explanation {
  int64_t latent = 0;
  ExplanationMode mode = ExplanationMode::fixed;
  double density = 0;              ///< share of the rows in which it fired
  double maximum = 0;              ///< its largest activation
  int64_t examples = 0;            ///< it was explained from
  int64_t held_out = 0;            ///< firings that were kept apart,
  int64_t held_out_predicted = 0;  ///< and how many of them the patterns predict: recall as Gao et al. measure it
  int64_t tokens_asked = 0;        ///< in queries to the language model
  std::vector<TokenPattern> patterns;

  PatternTrie trie() const;
};

/// The text of a token, for a person to read.
using TokenText = std::function<std::string(int32_t)>;

/// "a * cat" for a pattern: ^ stands for the start of a context, * for any token.
std::string pattern_text(const TokenPattern& pattern, const TokenText& text);

Json to_json(const Explanation& explanation, const TokenText& text);
/// Throws, naming file and place, on anything that to_json would not have made.
Explanation read_explanation(const Json& json);
/// All lines of a file, by latent. Throws, naming the file, also where a latent stands twice or the last line is cut.
std::vector<Explanation> read_explanations(const std::string& path);

}  // namespace sae
