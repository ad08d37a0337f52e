#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace sae {

/// How explanations are built and matched. `reference` is the form published with Gao et al. (2024), quirks included:
/// where a token and the wildcard both match, the token is followed and never given up; the shortest stored pattern on
/// that path wins; of two examples with one pattern the last is believed. `fixed` tries every path and takes the
/// longest pattern that matches, keeps the mean of equal patterns, and checks wildcards together.
enum class ExplanationMode { reference, fixed };

std::string_view name_of(ExplanationMode mode);
/// Parses "reference" or "fixed"; throws on anything else.
ExplanationMode parse_explanation_mode(std::string_view text);

/// In the place of a token: any token will do.
constexpr int32_t any_token = -1;

/// Tokens after the last of which a latent is predicted to fire.
struct TokenPattern {
  std::vector<int32_t> tokens;    ///< in reading order; any_token is a wildcard
  std::vector<float> importance;  ///< of each: the share of the activation that is lost without it
  bool at_start = false;          ///< matches only where its first element is the first token of the context
  double value = 0;               ///< the predicted activation, above 0
  int64_t count = 1;              ///< examples that gave this pattern

  friend bool operator==(const TokenPattern&, const TokenPattern&) = default;
};

/// The patterns of one latent as a trie over tokens read from right to left: what Neuron-to-Graph (Foote et al. 2023)
/// makes of its examples.
class PatternTrie {
 public:
  explicit PatternTrie(ExplanationMode mode) : mode_(mode), nodes_(1) {}

  /// Adds a pattern. Throws on one without tokens, with fewer importances than tokens, or without a positive value.
  void insert(const TokenPattern& pattern);

  /// The predicted activation at the last of these tokens, 0 where no pattern matches. The first of them is the first
  /// token of the context: where patterns `at_start` begin.
  double predict(std::span<const int32_t> context) const;

  /// Every pattern once, with its value, examples and mean importances; by last token, wildcards last.
  std::vector<TokenPattern> patterns() const;
  /// The tokens on which a pattern ends, ascending, without the wildcard.
  std::vector<int32_t> last_tokens() const;
  /// Does a pattern end on the wildcard? Then it may match anywhere in a text.
  bool ends_on_any_token() const { return nodes_[0].any != none; }

 private:
  static constexpr int32_t none = -1;
  struct Node {
    std::vector<std::pair<int32_t, int32_t>> children;  // token, node; ascending
    int32_t any = none, start = none;
    double value = 0;  // 0: no pattern ends here
    int64_t count = 0;
    double importance = 0;  // mean over the patterns that pass
    int64_t passes = 0;
  };
  struct Longest {
    int64_t length = 0;
    double value = 0;
  };

  const Node& at(int32_t node) const { return nodes_[static_cast<size_t>(node)]; }
  int32_t child(const Node& node, int32_t token) const;
  int32_t find_or_add(int32_t parent, int32_t token);
  int32_t add_node();
  void set_value(int32_t node, const TokenPattern& pattern);
  double predict_first(std::span<const int32_t> context) const;
  void find_longest(int32_t node, std::span<const int32_t> context, int64_t length, Longest& best) const;
  void collect(int32_t node, TokenPattern& reversed, std::vector<TokenPattern>& patterns) const;

  ExplanationMode mode_;
  std::vector<Node> nodes_;  // [0]: the root
};

}  // namespace sae
