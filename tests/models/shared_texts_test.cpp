#include "models/language_model/shared_texts.h"

#include "tests/support/devices.h"

namespace sae {
namespace {

using ::testing::ElementsAre;
using Text = std::vector<int32_t>;

SharedTexts share(const std::vector<Text>& texts) {
  const std::vector<std::span<const int32_t>> views(texts.begin(), texts.end());
  return SharedTexts(views);
}

TEST(SharedTexts, RowsByHand) {
  const SharedTexts shared = share({{1, 2, 3, 4}, {1, 2, 5, 4}, {1, 2, 5}, {9}, {9}});
  EXPECT_EQ(shared.length, 4);
  EXPECT_THAT(shared.tokens, ElementsAre(1, 2, 3, 4, 5, 4, 9));
  EXPECT_THAT(shared.ends, ElementsAre(3, 5, 4, 6, 6));
  EXPECT_THAT(shared.place_of, ElementsAre(0, 1, 2, 3, 6, 7, 12));
  EXPECT_THAT(shared.row_at, ElementsAre(0, 1, 2, 3, 0, 1, 4, 5, 0, 1, 4, 4, 6, 6, 6, 6, 6, 6, 6, 6));
}

TEST(SharedTexts, NothingInCommonAndNothingAtAll) {
  const SharedTexts apart = share({{1, 2}, {2, 2}});
  EXPECT_THAT(apart.row_at, ElementsAre(0, 1, 2, 3));
  EXPECT_EQ(share({}).length, 0);
  EXPECT_REFUSED(share({{1}, {}}), "one is empty");
}

TEST(SharedTexts, CommonBeginnings) {
  EXPECT_EQ(common_beginning(Text{1, 2, 3}, Text{1, 2, 4, 5}), 2);
  EXPECT_EQ(common_beginning(Text{1, 2}, Text{1, 2, 3}), 2);
  EXPECT_EQ(common_beginning(Text{}, Text{1}), 0);
}

}  // namespace
}  // namespace sae
