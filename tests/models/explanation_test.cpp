#include <gmock/gmock.h>

#include <functional>

#include "engine/error.h"
#include "models/explanation/explainer.h"
#include "models/explanation/explanation_file.h"
#include "tests/support/temporary_folder.h"

namespace sae {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::ThrowsMessage;

// Toy latents over the tokens a to e, as the released code's own tests have them; 4808 is GPT-2's " _".
enum : int32_t { a, b, c, d, e, pad = 4808, separator = 9, any = any_token };

using Tokens = std::vector<int32_t>;
using Latent = std::function<double(const Tokens&)>;  // the activation at a text's end

double fires_on_c(const Tokens& text) { return text.back() == c ? 1 : 0; }
double fires_first(const Tokens& text) { return text.size() == 1 ? 1 : 0; }
double c_after_a(const Tokens& text) {
  return text.back() == c && std::find(text.begin(), text.end(), a) != text.end() ? 1 : 0;
}
double stronger_after_a(const Tokens& text) {
  if (text.back() != c) return 0;
  return text.size() > 1 && text[text.size() - 2] == a ? 4 : 1;
}
double back(const Tokens& text, size_t places, int32_t token) {
  return text.size() > places && text[text.size() - 1 - places] == token ? 1 : 0;
}
double a_any_c_or_dbc(const Tokens& text) {
  return back(text, 0, c) * std::max(back(text, 2, a), back(text, 1, b) * back(text, 2, d));
}
double fires_everywhere(const Tokens&) { return 1; }
double c_near_a_or_b(const Tokens& text) {
  double near = 0;
  for (const size_t places : {1, 2}) near = std::max({near, back(text, places, a), back(text, places, b)});
  return back(text, 0, c) * near;
}

class ExplanationTest : public testing::Test {
 protected:
  /// Explains the latent from texts that end where it fires.
  PatternTrie explain_from(const Latent& latent, const std::vector<Tokens>& texts) {
    LatentExamples examples = {7, {}};
    for (const Tokens& text : texts) examples.examples.push_back({text, latent(text)});
    return explain_examples(latent, examples);
  }
  PatternTrie explain_examples(const Latent& latent, const LatentExamples& examples) {
    PatternTrie found(options_.mode);
    int finished = 0;
    explain(
        {&examples, 1}, options_, 1024,
        [&](std::span<const ActivationQuery> queries) {
          ++rounds_;
          std::vector<float> answers;
          for (const ActivationQuery& query : queries) {
            EXPECT_EQ(query.latent, 7);
            Tokens text(query.tokens.begin(), query.tokens.end());
            EXPECT_TRUE(std::equal(options_.prefix.begin(), options_.prefix.end(), text.begin()));
            text.erase(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(options_.prefix.size()));
            asked_ += static_cast<int64_t>(query.tokens.size());
            answers.push_back(static_cast<float>(latent(text)));
          }
          return answers;
        },
        [&](LatentPatterns patterns) {
          found = patterns.patterns;
          EXPECT_EQ(patterns.latent, 7);
          EXPECT_EQ(patterns.tokens_asked, asked_);
          ++finished;
          return true;
        },
        [] { return true; });
    EXPECT_EQ(finished, 1);
    return found;
  }

  std::vector<double> predictions(const PatternTrie& trie, const Tokens& text) {
    std::vector<double> values;
    for (size_t i = 1; i <= text.size(); ++i) values.push_back(trie.predict(std::span(text).first(i)));
    return values;
  }

  /// "* a|c" -> tokens and start of every pattern.
  std::vector<Tokens> tokens_of(const PatternTrie& trie) {
    std::vector<Tokens> tokens;
    for (const TokenPattern& pattern : trie.patterns()) tokens.push_back(pattern.tokens);
    return tokens;
  }

  SearchOptions options_ = {.mode = ExplanationMode::reference, .pad = pad};
  int64_t asked_ = 0, rounds_ = 0;
};

// --- the released code's behaviour, value by value ------------------------------------------------------------------

TEST_F(ExplanationTest, ReferenceKeepsTheLastToken) {
  const PatternTrie trie = explain_from(fires_on_c, {{a, b, c}, {b, c}});
  EXPECT_THAT(trie.patterns(), ElementsAre(TokenPattern{{c}, {1.0f}, false, 1.0, 2}));
  EXPECT_THAT(predictions(trie, {a, c, c, b}), ElementsAre(0, 1, 1, 0));
}

TEST_F(ExplanationTest, ReferenceTestsTheStart) {
  const PatternTrie trie = explain_from(fires_first, {{b}, {d}});
  EXPECT_THAT(trie.patterns(), ElementsAre(TokenPattern{{any}, {0.0f}, true, 1.0, 2}));
  EXPECT_THAT(predictions(trie, {a, b, c}), ElementsAre(1, 0, 0));
}

TEST_F(ExplanationTest, ReferenceMissesUnseenDistances) {
  const PatternTrie trie = explain_from(c_after_a, {{a, b, c}, {b, a, c}, {a, c}});
  EXPECT_THAT(tokens_of(trie), ElementsAre(Tokens{a, c}, Tokens{a, any, c}));
  EXPECT_THAT(predictions(trie, {a, e, c, a, c}), ElementsAre(0, 0, 1, 0, 1));
  EXPECT_THAT(predictions(trie, {a, b, b, c}), ElementsAre(0, 0, 0, 0));  // it does fire
}

TEST_F(ExplanationTest, ReferenceStopsAtTheShortestPattern) {
  const PatternTrie trie = explain_from(stronger_after_a, {{b, c}, {a, c}});
  EXPECT_THAT(trie.patterns(), ElementsAre(TokenPattern{{c}, {1.0f}, false, 1.0, 1},
                                           TokenPattern{{a, c}, {0.75f, 1.0f}, false, 4.0, 1}));
  EXPECT_THAT(predictions(trie, {a, c}), ElementsAre(0, 1));
}

TEST_F(ExplanationTest, ReferenceDoesNotGoBack) {
  const PatternTrie trie = explain_from(a_any_c_or_dbc, {{a, e, c}, {d, b, c}});
  EXPECT_THAT(tokens_of(trie), ElementsAre(Tokens{d, b, c}, Tokens{a, any, c}));
  EXPECT_EQ(predictions(trie, {a, b, c})[2], 0);  // it does fire
  EXPECT_EQ(predictions(trie, {a, d, c})[2], 1);
  EXPECT_EQ(predictions(trie, {d, b, c})[2], 1);
}

TEST_F(ExplanationTest, ReferenceFiresEverywhereOnAWildcardAtTheRoot) {
  const PatternTrie trie = explain_from(fires_everywhere, {{b, c}});
  EXPECT_THAT(trie.patterns(), ElementsAre(TokenPattern{{any}, {0.0f}, false, 1.0, 1}));
  EXPECT_TRUE(trie.ends_on_any_token());
  EXPECT_THAT(trie.last_tokens(), IsEmpty());
  EXPECT_THAT(predictions(trie, {d, e, a}), ElementsAre(1, 1, 1));
}

/// The released code's model may answer differently to each document: here by the number of the round.
double first_one_then_two(const Tokens& text, int64_t& calls) { return text.back() == c ? (calls++ == 0 ? 1 : 2) : 0; }

TEST_F(ExplanationTest, ReferenceBelievesTheLastWriter) {
  int64_t calls = 0;
  const Latent latent = [&](const Tokens& text) { return first_one_then_two(text, calls); };
  const PatternTrie trie = explain_examples(latent, {7, {{{b, c}, 1.0}, {{c}, 2.0}}});
  EXPECT_THAT(trie.patterns(), ElementsAre(TokenPattern{{c}, {1.0f}, false, 2.0, 2}));
  EXPECT_EQ(trie.predict(Tokens{c}), 2);
}

TEST_F(ExplanationTest, ReferenceTakesRedundantCuesForUnimportant) {
  // in three tokens or more: alone, "b c" would be the suffix and its one cue needed
  const Latent latent = [](const Tokens& text) { return text.size() < 3 ? 0.0 : c_near_a_or_b(text); };
  const PatternTrie trie = explain_from(latent, {{a, b, c}});
  EXPECT_THAT(tokens_of(trie), ElementsAre(Tokens{any, any, c}));
  EXPECT_EQ(predictions(trie, {d, d, c})[2], 1);  // it does not fire
}

TEST_F(ExplanationTest, NothingIsPredictedFromNoExamples) {
  for (const ExplanationMode mode : {ExplanationMode::reference, ExplanationMode::fixed}) {
    options_.mode = mode;
    const PatternTrie trie = explain_from(fires_on_c, {});
    EXPECT_THAT(trie.patterns(), IsEmpty());
    EXPECT_THAT(predictions(trie, {a, c}), ElementsAre(0, 0));
    EXPECT_EQ(trie.predict({}), 0);
  }
}

TEST_F(ExplanationTest, KeepsTheWholeExampleWhereNoSuffixFires) {
  const Latent latent = [](const Tokens& text) { return text.size() > 3 ? 3.0 : 0.0; };
  for (const ExplanationMode mode : {ExplanationMode::reference, ExplanationMode::fixed}) {
    options_.mode = mode;
    const PatternTrie trie = explain_examples(latent, {7, {{{a, b, c}, 5.0}}});
    // the activation that the example had, and all of it lost with any token; after a pad it does fire
    EXPECT_THAT(trie.patterns(), ElementsAre(TokenPattern{{a, b, c}, {1.0f, 1.0f, 1.0f}, false, 5.0, 1}));
    asked_ = 0;
  }
}

TEST_F(ExplanationTest, CountsTheTokensItAsks) {
  explain_from(a_any_c_or_dbc, {{e, a, e, c}});
  EXPECT_EQ(asked_, (1 + 2 + 3) + 4 + 3 * 3);  // suffixes, start, importance of three tokens
  EXPECT_EQ(rounds_, 4);
}

// --- fixed ----------------------------------------------------------------------------------------------------------

class FixedExplanationTest : public ExplanationTest {
 protected:
  FixedExplanationTest() {
    options_.mode = ExplanationMode::fixed;
    options_.prefix = {separator};
  }
};

TEST_F(FixedExplanationTest, FollowsEveryPath) {
  const PatternTrie trie = explain_from(a_any_c_or_dbc, {{a, e, c}, {d, b, c}});
  for (const Tokens& text : {Tokens{a, b, c}, Tokens{a, d, c}, Tokens{d, b, c}}) {
    EXPECT_EQ(trie.predict(text), 1);
  }
  EXPECT_EQ(trie.predict(Tokens{b, b, c}), 0);
}

TEST_F(FixedExplanationTest, TakesTheLongestPattern) {
  const PatternTrie trie = explain_from(stronger_after_a, {{b, c}, {a, c}});
  EXPECT_THAT(predictions(trie, {b, c, a, c}), ElementsAre(0, 1, 0, 4));
  // of two patterns of one length, that with tokens
  PatternTrie tied(ExplanationMode::fixed);
  tied.insert({{any, c}, {0, 1}, false, 1.0, 1});
  tied.insert({{a, c}, {1, 1}, false, 2.0, 1});
  EXPECT_EQ(tied.predict(Tokens{a, c}), 2);
  EXPECT_EQ(tied.predict(Tokens{b, c}), 1);
}

TEST_F(FixedExplanationTest, KeepsTheMeanOfEqualPatterns) {
  PatternTrie trie(ExplanationMode::fixed);
  trie.insert({{a, c}, {0.5f, 1}, false, 1.0, 1});
  trie.insert({{a, c}, {1, 1}, false, 2.0, 1});
  trie.insert({{a, c}, {1, 1}, false, 4.5, 1});
  EXPECT_NEAR(trie.predict(Tokens{a, c}), 2.5, 1e-12);
  ASSERT_EQ(trie.patterns().size(), 1u);
  EXPECT_EQ(trie.patterns()[0].count, 3);
  EXPECT_FLOAT_EQ(trie.patterns()[0].importance[0], 2.5f / 3);
}

TEST_F(FixedExplanationTest, TestsWildcardsTogether) {
  const Latent latent = [](const Tokens& text) { return text.size() < 3 ? 0.0 : c_near_a_or_b(text); };
  const PatternTrie trie = explain_from(latent, {{a, b, c}});
  EXPECT_THAT(tokens_of(trie), ElementsAre(Tokens{any, b, c}));
  EXPECT_EQ(trie.predict(Tokens{d, d, c}), 0);
  EXPECT_EQ(trie.predict(Tokens{d, b, c}), 1);
}

TEST_F(FixedExplanationTest, BringsBackTheMostImportantWildcardsFirst) {
  // tokens a and b count 3 and 2, others 1; the sum of the last five, at least 8, or nothing
  const Latent latent = [](const Tokens& text) {
    double sum = 0;
    for (size_t i = 0; i < std::min<size_t>(5, text.size()); ++i) {
      const int32_t token = text[text.size() - 1 - i];
      sum += token == a ? 3 : token == b ? 2 : token == pad ? 0 : 1;
    }
    return sum >= 5 ? sum : 0;
  };
  const Tokens text = {e, b, a, e, e};  // 8: kept 7, 6, 5, 7, 7 without each; 0 with all five replaced
  PatternTrie trie = explain_examples(latent, {7, {{text, 16.0}}});
  // two are brought back (a and b make 5), the others together lose 3 of 8
  EXPECT_THAT(tokens_of(trie), ElementsAre(Tokens{any, b, a, any, any}));
}

TEST_F(FixedExplanationTest, BringsBackAsFewWildcardsAsWillDo) {
  // fires with at most `spared` pads among the last twelve tokens
  for (int64_t spared = 1; spared <= 11; ++spared) {
    const Latent latent = [&](const Tokens& text) {
      const auto first = text.end() - static_cast<std::ptrdiff_t>(std::min<size_t>(12, text.size()));
      return text.size() >= 12 && std::count(first, text.end(), pad) <= spared ? 1.0 : 0.0;
    };
    asked_ = 0;
    const PatternTrie trie = explain_from(latent, {Tokens(12, e)});
    ASSERT_EQ(trie.patterns().size(), 1u);
    const Tokens tokens = trie.patterns()[0].tokens;
    EXPECT_EQ(std::count(tokens.begin(), tokens.end(), any), spared);
  }
}

TEST_F(FixedExplanationTest, AWeakSuffixIsNotBoundToTheStart) {
  // the suffix keeps 0.6 of the example; a pad before it takes a fifth more
  const Latent latent = [](const Tokens& text) {
    return text.back() != c ? 0.0 : text.size() > 2 ? 1.0 : text.size() > 1 ? 0.48 : 0.6;
  };
  EXPECT_FALSE(explain_from(latent, {{a, b, c}}).patterns()[0].at_start);
  options_.mode = ExplanationMode::reference;
  asked_ = 0;
  EXPECT_TRUE(explain_from(latent, {{a, b, c}}).patterns()[0].at_start);
}

TEST_F(FixedExplanationTest, StartsAfterThePrefix) {
  const PatternTrie trie = explain_from(fires_first, {{b}, {d}});
  EXPECT_THAT(predictions(trie, {a, b, c}), ElementsAre(1, 0, 0));
  PatternTrie both(ExplanationMode::fixed);
  both.insert({{c}, {1}, false, 1.0, 1});
  both.insert({{c}, {1}, true, 3.0, 1});
  EXPECT_THAT(predictions(both, {c, c}), ElementsAre(3, 1));
}

TEST_F(FixedExplanationTest, RunsManyLatentsSideBySide) {
  std::vector<LatentExamples> latents;
  for (int64_t latent = 0; latent < 20; ++latent) {
    latents.push_back({latent, {{{a, b, static_cast<int32_t>(latent)}, 1.0}, {{static_cast<int32_t>(latent)}, 2.0}}});
  }
  latents[3].examples.clear();
  const auto activations = [&](std::span<const ActivationQuery> queries) {
    std::vector<float> answers;
    for (const ActivationQuery& query : queries) {
      const bool fires = query.tokens.back() == query.latent && (query.latent % 2 == 0 || query.tokens.size() > 2);
      answers.push_back(fires ? 2.0f : 0.0f);
    }
    return answers;
  };
  for (const int64_t at_once : {1, 7, 1000}) {
    std::vector<int64_t> order;
    explain(
        latents, options_, at_once, activations,
        [&](const LatentPatterns& found) {
          order.push_back(found.latent);
          EXPECT_EQ(found.patterns.patterns().size(), found.latent == 3 ? 0u : found.latent % 2 == 0 ? 1u : 2u);
          return true;
        },
        [] { return true; });
    EXPECT_EQ(order.size(), latents.size());
  }
  // stops where it is told to
  int finished = 0, rounds = 0;
  explain(
      latents, options_, 1, activations, [&](const LatentPatterns&) { return ++finished < 2; }, [] { return true; });
  EXPECT_EQ(finished, 2);
  explain(
      latents, options_, 1, activations, [&](const LatentPatterns&) { return true; }, [&] { return ++rounds < 3; });
  EXPECT_EQ(rounds, 3);
}

TEST(Explanation, Refusals) {
  PatternTrie trie(ExplanationMode::fixed);
  EXPECT_THAT([&] { trie.insert({{}, {}, false, 1.0, 1}); }, ThrowsMessage<Error>(HasSubstr("a pattern of 0 tokens")));
  EXPECT_THAT([&] { trie.insert({{1}, {1}, false, 0.0, 1}); }, ThrowsMessage<Error>(HasSubstr("above 0")));
  EXPECT_THAT([&] { trie.insert({{-2}, {1}, false, 1.0, 1}); }, ThrowsMessage<Error>(HasSubstr("token -2")));
  const SearchOptions options;
  EXPECT_THAT([&] { PatternSearch({{1, 2}, 0.0}, options); }, ThrowsMessage<Error>(HasSubstr("a positive one")));
  PatternSearch search({{1, 2}, 1.0}, options);
  EXPECT_THAT([&] { search.answer({}); }, ThrowsMessage<Error>(HasSubstr("0 answers to 1 queries")));
  EXPECT_THAT([] { parse_explanation_mode("old"); }, ThrowsMessage<Error>(HasSubstr("reference or fixed, got 'old'")));
  EXPECT_EQ(parse_explanation_mode("reference"), ExplanationMode::reference);
}

// --- files ----------------------------------------------------------------------------------------------------------

std::string letter(int32_t token) { return std::string(1, static_cast<char>('a' + token)); }

Explanation some_explanation() {
  Explanation explanation;
  explanation.latent = 12;
  explanation.mode = ExplanationMode::fixed;
  explanation.density = 0.25;
  explanation.maximum = 4;
  explanation.examples = 3;
  explanation.held_out = 2;
  explanation.held_out_predicted = 1;
  explanation.tokens_asked = 99;
  explanation.patterns = {{{a, any, c}, {0.75f, 0.25f, 1}, false, 2.5, 2}, {{b}, {1}, true, 1.5, 1}};
  return explanation;
}

TEST(ExplanationFile, GivesBackWhatWasWritten) {
  const Explanation explanation = some_explanation();
  const Json json = to_json(explanation, letter);
  EXPECT_EQ(json.at("patterns").at(0).at("text").text(), "a|*|c");
  EXPECT_EQ(json.at("patterns").at(1).at("text").text(), "^|b");
  const Explanation read = read_explanation(Json::parse(json.dump(), "line"));
  EXPECT_EQ(read.latent, 12);
  EXPECT_EQ(read.patterns, explanation.patterns);
  EXPECT_EQ(read.held_out_predicted, 1);
  EXPECT_EQ(read.maximum, 4);
  EXPECT_EQ(read.trie().predict(Tokens{a, d, c}), 2.5);
  EXPECT_EQ(read.trie().predict(Tokens{b}), 1.5);
}

TEST(ExplanationFile, RefusesWhatItWouldNotWrite) {
  TemporaryFolder folder;
  const std::string line = to_json(some_explanation(), letter).dump();
  const auto refusal = [&](const std::string& text) {
    try {
      read_explanations(folder.write("x.jsonl", text));
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  const auto changed = [&](const std::string& from, const std::string& to) {
    std::string text = line;
    text.replace(text.find(from), from.size(), to);
    return text + "\n";
  };
  EXPECT_EQ(refusal(line + "\n"), "accepted");
  EXPECT_THAT(refusal(line + "\n" + line + "\n"), HasSubstr("latent 12 stands twice"));
  EXPECT_THAT(refusal(line), HasSubstr("cut off"));
  EXPECT_THAT(refusal(changed("[0,-1,2]", "[0,-7,2]")), HasSubstr("token -7"));
  EXPECT_THAT(refusal(changed("[0,-1,2]", "[0,-1]")), HasSubstr("a pattern of 2 tokens with 3 importances"));
  EXPECT_THAT(refusal(changed("\"value\":2.5", "\"value\":-1")), HasSubstr("above 0"));
  EXPECT_THAT(refusal(changed("\"latent\":12", "\"latent\":-1")), HasSubstr("x.jsonl:1: an explanation's 'latent'"));
  EXPECT_THAT(refusal(changed("fixed", "loose")), HasSubstr("got 'loose'"));
}

}  // namespace
}  // namespace sae
