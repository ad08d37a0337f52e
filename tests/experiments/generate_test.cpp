#include "experiments/generate/sampler.h"

#include <map>

#include "experiments/tokenize/printable.h"
#include "tests/support/tensors.h"

namespace sae {
namespace {

const std::vector<float> logits = {0, std::log(6.0f), std::log(2.0f), std::log(6.0f),
                                   std::log(5.0f)};  // 1 6 2 6 5 of 20

std::map<int32_t, int> counts(SamplerOptions options, int draws) {
  Sampler sampler(options);
  std::map<int32_t, int> result;
  for (int i = 0; i < draws; ++i) ++result[sampler.choose(logits)];
  return result;
}

TEST(Sampler, GreedyTakesTheLikeliestAndTheFirstOfEquals) {
  EXPECT_EQ(counts({}, 5), (std::map<int32_t, int>{{1, 5}}));
}

TEST(Sampler, DrawsByProbability) {
  auto drawn = counts({1, 0, 7}, 20000);
  const int expected[] = {1000, 6000, 2000, 6000, 5000};
  for (int32_t id = 0; id < 5; ++id) EXPECT_NEAR(drawn[id], expected[id], 300) << id;
}

TEST(Sampler, TemperatureSharpens) {
  auto drawn = counts({0.5, 0, 7}, 20000);  // squares: 1 36 4 36 25 of 102
  EXPECT_NEAR(drawn[1], 20000 * 36 / 102, 300);
  EXPECT_NEAR(drawn[2], 20000 * 4 / 102, 150);
}

TEST(Sampler, TopK) {
  auto drawn = counts({1, 3, 7}, 17000);  // 6 6 5
  EXPECT_EQ(drawn[0] + drawn[2], 0);
  EXPECT_NEAR(drawn[4], 5000, 300);
}

TEST(Sampler, TheSeedDecides) {
  Sampler a({1, 0, 1}), b({1, 0, 1}), c({1, 0, 2});
  int differing = 0;
  for (int i = 0; i < 100; ++i) {
    const int32_t id = a.choose(logits);
    EXPECT_EQ(id, b.choose(logits));
    differing += id != c.choose(logits) ? 1 : 0;
  }
  EXPECT_GT(differing, 20);
}

TEST(Sampler, Refusals) {
  EXPECT_REFUSED(Sampler({-1, 0, 0}), "a temperature of -1");
  EXPECT_REFUSED(Sampler({1, -1, 0}), "the -1 likeliest");
  Sampler sampler({});
  EXPECT_REFUSED(sampler.choose({}), "no scores");
  const std::vector<float> infinite = {1, std::numeric_limits<float>::infinity()};
  EXPECT_REFUSED(sampler.choose(infinite), "the largest score is inf");
}

TEST(Printable, BytesThatAreNoCharactersAreSpeltOut) {
  EXPECT_EQ(printable("a\u00e9\u65e5\U0001f469"), "a\u00e9\u65e5\U0001f469");
  EXPECT_EQ(printable("\xe6"), "<0xE6>");
  EXPECT_EQ(printable("\xe6\x97x\xff"), "<0xE6><0x97>x<0xFF>");
  EXPECT_EQ(printable("\xc0\x80"), "<0xC0><0x80>");                      // overlong
  EXPECT_EQ(printable("\xed\xa0\x80"), "<0xED><0xA0><0x80>");            // a surrogate
  EXPECT_EQ(printable("\xf4\x90\x80\x80"), "<0xF4><0x90><0x80><0x80>");  // beyond Unicode
}

}  // namespace
}  // namespace sae
