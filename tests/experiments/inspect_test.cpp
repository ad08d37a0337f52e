#include <gmock/gmock.h>

#include <cmath>

#include "engine/files/activation_writer.h"
#include "engine/parallel.h"
#include "experiments/inspect/activation_statistics.h"
#include "tests/support/temporary_folder.h"

namespace sae {
namespace {

using ::testing::DoubleEq;
using ::testing::DoubleNear;
using ::testing::HasSubstr;

constexpr int64_t width = 8, length = 6;

class Inspect : public ::testing::Test {
 protected:
  /// Contexts of six rows: at position 0 channel 3 holds 5000 and the others 1; elsewhere channel 2 holds 2, channel 5
  /// its position, and the others 0.5, with 30 in channel 7 at position 4 of the second context, and a second sink, 900
  /// there, at position 5.
  ActivationStore store(int64_t contexts, bool with_tokens = true) {
    StoreDescription description;
    description.model = "M";
    description.layer = 3;
    description.site = "resid_post";
    description.width = width;
    ActivationWriter writer(folder_.path("store"), description, IfStoreExists::overwrite);
    for (int64_t context = 0; context < contexts; ++context) {
      std::vector<float> rows;
      std::vector<uint16_t> positions;
      for (int64_t position = 0; position < length; ++position) {
        std::vector<float> row(width, position == 0 ? 1.0f : 0.5f);
        row[position == 0 ? 3 : 2] = position == 0 ? 5000.0f : 2.0f;
        if (position > 0) row[5] = static_cast<float>(position);
        if (context == 1 && position >= 4) row[7] = position == 4 ? -30.0f : 900.0f;
        rows.insert(rows.end(), row.begin(), row.end());
        positions.push_back(static_cast<uint16_t>(position));
      }
      const std::vector<int32_t> ids(length, 0);
      with_tokens ? writer.append(rows, ids, positions, ids) : writer.append(rows);
    }
    writer.finish();
    return ActivationStore(folder_.path("store"));
  }
  TemporaryFolder folder_;
};

TEST_F(Inspect, NormsByPosition) {
  const auto norms = activation_statistics(store(3), 2).norms;
  ASSERT_EQ(norms.size(), 4u);  // 0, 1, 2-3, 4-5
  EXPECT_EQ(norms[0].rows, 3);
  EXPECT_NEAR(norms[0].median, std::sqrt(5000.0 * 5000 + 7), 1e-3);
  EXPECT_EQ(norms[2].first, 2);
  EXPECT_EQ(norms[2].last, 3);
  EXPECT_EQ(norms[2].rows, 6);
  EXPECT_NEAR(norms[2].low, std::sqrt(4.0 + 4 + 6 * 0.25), 1e-6);
  EXPECT_NEAR(norms[2].median, std::sqrt(4.0 + 4 + 6 * 0.25), 1e-6);  // the lower of the two in the middle
  EXPECT_EQ(norms[3].last, 5);                                        // the last there is
}

TEST_F(Inspect, TheLargestChannelsAreNamed) {
  for (const int threads_used : {1, 2}) {
    const int before = threads();
    set_threads(threads_used);
    const ActivationStatistics statistics = activation_statistics(store(3), 2);
    set_threads(before);
    const ChannelReport& first = statistics.first_position;
    EXPECT_EQ(first.rows, 3);
    ASSERT_EQ(first.largest.size(), 2u);
    EXPECT_EQ(first.largest[0].channel, 3);
    EXPECT_EQ(first.largest[0].largest, 5000);
    EXPECT_EQ(first.largest[0].largest_multiple, 5000);  // of a median of 1
    EXPECT_THAT(first.largest[0].energy_share, DoubleEq(25e6 / (25e6 + 7)));
    EXPECT_THAT(first.mean_share, DoubleNear(1, 1e-6));  // all rows are the same
    const ChannelReport& others = statistics.others;
    EXPECT_EQ(statistics.long_rows, 1);
    EXPECT_EQ(others.rows, 14);
    EXPECT_EQ(others.largest[0].channel, 7);
    EXPECT_EQ(others.largest[0].largest, 30);
    EXPECT_EQ(others.largest[0].largest_multiple, 60);  // of a median of 0.5
    EXPECT_EQ(others.largest[1].channel, 5);
    EXPECT_LT(others.mean_share, 1);
  }
}

TEST_F(Inspect, Tables) {
  const ActivationStore with = store(3);
  const std::string text = to_string(with.description(), activation_statistics(with, 2));
  EXPECT_THAT(text, HasSubstr("M, block 3, resid_post: 18 rows of width 8"));
  EXPECT_THAT(text, HasSubstr("\n  2-3  "));
  EXPECT_THAT(text, HasSubstr("rows at position 0: 3; scaled"));
  EXPECT_THAT(text, HasSubstr("other rows (1 longer than 10 medians left out): 14; scaled"));
  const ActivationStore matrix = store(1, false);
  const ActivationStatistics statistics = activation_statistics(matrix, 1);
  EXPECT_EQ(statistics.first_position.rows, 0);
  EXPECT_EQ(statistics.norms.size(), 1u);
  EXPECT_THAT(to_string(matrix.description(), statistics), HasSubstr("\n  all  "));
}

}  // namespace
}  // namespace sae
