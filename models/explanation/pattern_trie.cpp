#include "models/explanation/pattern_trie.h"

#include <algorithm>
#include <cmath>

#include "engine/error.h"

namespace sae {

std::string_view name_of(ExplanationMode mode) {
  switch (mode) {
    case ExplanationMode::reference:
      return "reference";
    case ExplanationMode::fixed:
      return "fixed";
  }
  fail("explanation mode: unknown value {}", static_cast<int>(mode));
}

ExplanationMode parse_explanation_mode(std::string_view text) {
  for (const ExplanationMode mode : {ExplanationMode::reference, ExplanationMode::fixed}) {
    if (text == name_of(mode)) return mode;
  }
  fail("explanation mode: expected reference or fixed, got '{}'", text);
}

int32_t PatternTrie::child(const Node& node, int32_t token) const {
  const auto found = std::lower_bound(node.children.begin(), node.children.end(), std::pair(token, none));
  return found != node.children.end() && found->first == token ? found->second : none;
}

int32_t PatternTrie::add_node() {
  nodes_.emplace_back();
  return static_cast<int32_t>(nodes_.size()) - 1;
}

int32_t PatternTrie::find_or_add(int32_t parent, int32_t token) {
  const int32_t known = token == any_token ? at(parent).any : child(at(parent), token);
  if (known != none) return known;
  const int32_t added = add_node();
  Node& node = nodes_[static_cast<size_t>(parent)];
  if (token == any_token) {
    node.any = added;
  } else {
    const std::pair edge(token, added);
    node.children.insert(std::upper_bound(node.children.begin(), node.children.end(), edge), edge);
  }
  return added;
}

void PatternTrie::set_value(int32_t node, const TokenPattern& pattern) {
  Node& end = nodes_[static_cast<size_t>(node)];
  const int64_t together = end.count + pattern.count;
  end.value = mode_ == ExplanationMode::reference
                  ? pattern.value
                  : end.value + (pattern.value - end.value) * static_cast<double>(pattern.count) /
                                    static_cast<double>(together);
  end.count = together;
}

void PatternTrie::insert(const TokenPattern& pattern) {
  CHECK(!pattern.tokens.empty() && pattern.tokens.size() == pattern.importance.size() && pattern.count > 0,
        "explanation: a pattern of {} tokens with {} importances from {} examples", pattern.tokens.size(),
        pattern.importance.size(), pattern.count);
  CHECK(std::isfinite(pattern.value) && pattern.value > 0,
        "explanation: a pattern predicts an activation above 0, got {}", pattern.value);
  int32_t node = 0;
  for (size_t i = pattern.tokens.size(); i-- > 0;) {
    CHECK(pattern.tokens[i] >= 0 || pattern.tokens[i] == any_token, "explanation: token {}", pattern.tokens[i]);
    node = find_or_add(node, pattern.tokens[i]);
    Node& passed = nodes_[static_cast<size_t>(node)];
    passed.passes += pattern.count;
    passed.importance += (static_cast<double>(pattern.importance[i]) - passed.importance) *
                         static_cast<double>(pattern.count) / static_cast<double>(passed.passes);
  }
  if (pattern.at_start) {
    if (at(node).start == none) {
      const int32_t added = add_node();
      nodes_[static_cast<size_t>(node)].start = added;
    }
    node = at(node).start;
  }
  set_value(node, pattern);
}

double PatternTrie::predict(std::span<const int32_t> context) const {
  if (context.empty()) return 0;
  if (mode_ == ExplanationMode::reference) return predict_first(context);
  Longest best;
  find_longest(0, context, 0, best);
  return best.value;
}

double PatternTrie::predict_first(std::span<const int32_t> context) const {
  int32_t node = 0;
  for (size_t i = context.size(); i-- > 0;) {
    const int32_t exact = child(at(node), context[i]);
    node = exact != none ? exact : at(node).any;
    if (node == none) return 0;
    if (at(node).count > 0) return at(node).value;
  }
  const int32_t start = at(node).start;
  return start == none ? 0 : at(start).value;
}

/// Of patterns of one length, that with a token where the others have a wildcard, read from the right.
void PatternTrie::find_longest(int32_t node, std::span<const int32_t> context, int64_t length, Longest& best) const {
  const Node& here = at(node);
  const auto take = [&](const Node& end, int64_t how_long) {
    if (end.count > 0 && how_long > best.length) best = {how_long, end.value};
  };
  take(here, length);
  if (length == static_cast<int64_t>(context.size())) {
    // the start of the context counts as one element more
    if (here.start != none) take(at(here.start), length + 1);
    return;
  }
  const int32_t token = context[context.size() - 1 - static_cast<size_t>(length)];
  const int32_t exact = child(here, token);
  if (exact != none) find_longest(exact, context, length + 1, best);
  if (here.any != none) find_longest(here.any, context, length + 1, best);
}

std::vector<TokenPattern> PatternTrie::patterns() const {
  std::vector<TokenPattern> found;
  TokenPattern reversed;
  collect(0, reversed, found);
  return found;
}

void PatternTrie::collect(int32_t node, TokenPattern& reversed, std::vector<TokenPattern>& patterns) const {
  const Node& here = at(node);
  const auto take = [&](const Node& end, bool at_start) {
    if (end.count == 0) return;
    TokenPattern pattern = {{reversed.tokens.rbegin(), reversed.tokens.rend()},
                            {reversed.importance.rbegin(), reversed.importance.rend()},
                            at_start,
                            end.value,
                            end.count};
    patterns.push_back(std::move(pattern));
  };
  const auto descend = [&](int32_t token, int32_t to) {
    reversed.tokens.push_back(token);
    reversed.importance.push_back(static_cast<float>(at(to).importance));
    collect(to, reversed, patterns);
    reversed.tokens.pop_back();
    reversed.importance.pop_back();
  };
  take(here, false);
  if (here.start != none) take(at(here.start), true);
  for (const auto& [token, to] : here.children) descend(token, to);
  if (here.any != none) descend(any_token, here.any);
}

std::vector<int32_t> PatternTrie::last_tokens() const {
  std::vector<int32_t> tokens;
  for (const auto& [token, node] : nodes_[0].children) tokens.push_back(token);
  return tokens;
}

}  // namespace sae
