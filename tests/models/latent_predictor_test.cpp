#include "models/explanation/latent_predictor.h"

#include <gmock/gmock.h>

#include "engine/philox.h"
#include "tests/support/tensors.h"

namespace sae {
namespace {

Explanation explanation_of(int64_t latent, std::vector<TokenPattern> patterns) {
  Explanation explanation;
  explanation.latent = latent;
  for (TokenPattern& pattern : patterns) pattern.importance.assign(pattern.tokens.size(), 1.0f);
  explanation.patterns = std::move(patterns);
  return explanation;
}

TEST(LatentPredictor, SaysWhatEachTrieSays) {
  const std::vector<Explanation> explanations = {
      explanation_of(9, {{{1}, {}, false, 2}, {{3, 1}, {}, false, 5}}),
      explanation_of(2, {{{1, any_token}, {}, false, 3}}),
      explanation_of(4, {{{2}, {}, true, 1}, {{0, any_token, 1}, {}, false, 4}}),
      explanation_of(0, {}),
  };
  const LatentPredictor predictor(explanations);
  const auto shown = [&](const std::vector<int32_t>& context) {
    std::vector<std::pair<int32_t, double>> found;
    for (const LatentActivation& one : predictor.predict(context)) found.emplace_back(one.latent, one.activation);
    return found;
  };
  using Found = std::vector<std::pair<int32_t, double>>;
  EXPECT_EQ(shown({1}), (Found{{9, 2}}));
  EXPECT_EQ(shown({3, 1}), (Found{{9, 5}}));
  EXPECT_EQ(shown({2}), (Found{{4, 1}}));
  EXPECT_EQ(shown({0, 1, 1}), (Found{{2, 3}, {4, 4}, {9, 2}}));
  EXPECT_EQ(shown({1, 2}), (Found{{2, 3}}));
  EXPECT_EQ(shown({7}), Found());
  EXPECT_EQ(shown({}), Found());

  const Philox random(1, 0);
  for (uint64_t text = 0; text < 200; ++text) {
    std::vector<int32_t> context;
    for (uint64_t i = 0; i <= text % 6; ++i) context.push_back(static_cast<int32_t>(random.below(8 * text + i, 4)));
    Found expected;
    for (const size_t i : {3, 1, 2, 0}) {  // by latent
      const double activation = explanations[i].trie().predict(context);
      if (activation > 0) expected.emplace_back(static_cast<int32_t>(explanations[i].latent), activation);
    }
    EXPECT_EQ(shown(context), expected);
  }
}

TEST(LatentPredictor, RefusesALatentThatIsExplainedTwice) {
  const std::vector<Explanation> twice = {explanation_of(3, {}), explanation_of(3, {})};
  EXPECT_REFUSED(LatentPredictor{twice}, "latent 3 is explained twice");
}

}  // namespace
}  // namespace sae
