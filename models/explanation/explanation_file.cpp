#include "models/explanation/explanation_file.h"

#include <algorithm>
#include <limits>

#include "engine/error.h"
#include "engine/files/json_lines.h"

namespace sae {

PatternTrie Explanation::trie() const {
  PatternTrie made(mode);
  for (const TokenPattern& pattern : patterns) made.insert(pattern);
  return made;
}

std::string pattern_text(const TokenPattern& pattern, const TokenText& text) {
  std::string joined = pattern.at_start ? "^" : "";
  for (const int32_t token : pattern.tokens) {
    if (!joined.empty()) joined += "|";
    joined += token == any_token ? "*" : text(token);
  }
  return joined;
}

Json to_json(const Explanation& explanation, const TokenText& text) {
  Json patterns = Json::array();
  for (const TokenPattern& pattern : explanation.patterns) {
    Json item = Json::object();
    item.set("text", pattern_text(pattern, text));
    item.set("tokens", std::vector<int64_t>(pattern.tokens.begin(), pattern.tokens.end()));
    item.set("importance", std::vector<double>(pattern.importance.begin(), pattern.importance.end()));
    item.set("at_start", pattern.at_start).set("value", pattern.value).set("count", pattern.count);
    patterns.push(item);
  }
  Json json = Json::object();
  json.set("latent", explanation.latent).set("mode", name_of(explanation.mode));
  json.set("density", explanation.density).set("maximum", explanation.maximum);
  json.set("examples", explanation.examples).set("held_out", explanation.held_out);
  json.set("held_out_predicted", explanation.held_out_predicted).set("tokens_asked", explanation.tokens_asked);
  json.set("ends_on_any_token", explanation.trie().ends_on_any_token()).set("patterns", patterns);
  return json;
}

namespace {

int64_t count_in(const Json& json, const char* key) {
  const int64_t value = json.at(key).integer();
  CHECK(value >= 0, "an explanation's '{}' is {}", key, value);
  return value;
}

TokenPattern read_pattern(const Json& json) {
  TokenPattern pattern;
  for (const int64_t token : json.at("tokens").integers()) {
    CHECK(any_token <= token && token <= std::numeric_limits<int32_t>::max(), "token {} in a pattern", token);
    pattern.tokens.push_back(static_cast<int32_t>(token));
  }
  for (const double importance : json.at("importance").numbers()) {
    pattern.importance.push_back(static_cast<float>(importance));
  }
  pattern.at_start = json.at("at_start").boolean();
  pattern.value = json.at("value").number();
  pattern.count = count_in(json, "count");
  return pattern;
}

}  // namespace

Explanation read_explanation(const Json& json) {
  Explanation explanation;
  explanation.latent = count_in(json, "latent");
  explanation.mode = parse_explanation_mode(json.at("mode").text());
  explanation.density = json.at("density").number();
  explanation.maximum = json.at("maximum").number();
  explanation.examples = count_in(json, "examples");
  explanation.held_out = count_in(json, "held_out");
  explanation.held_out_predicted = count_in(json, "held_out_predicted");
  explanation.tokens_asked = count_in(json, "tokens_asked");
  const Json patterns = json.at("patterns");
  for (int64_t i = 0; i < patterns.size(); ++i) explanation.patterns.push_back(read_pattern(patterns.at(i)));
  explanation.trie();  // refuses patterns that are none
  return explanation;
}

std::vector<Explanation> read_explanations(const std::string& path) {
  std::vector<Explanation> explanations;
  JsonLinesReader reader(path);
  while (const std::optional<Json> line = reader.next()) {
    try {
      explanations.push_back(read_explanation(*line));
    } catch (const Error& error) {
      fail("{}:{}: {}", path, reader.line(), error.what());
    }
  }
  CHECK(reader.unfinished().empty(), "{}: the last line is cut off", path);
  std::stable_sort(explanations.begin(), explanations.end(),
                   [](const Explanation& a, const Explanation& b) { return a.latent < b.latent; });
  for (size_t i = 1; i < explanations.size(); ++i) {
    CHECK(explanations[i - 1].latent != explanations[i].latent, "{}: latent {} stands twice", path,
          explanations[i].latent);
  }
  return explanations;
}

}  // namespace sae
