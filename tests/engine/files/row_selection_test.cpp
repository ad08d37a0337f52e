#include "engine/files/row_selection.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "engine/error.h"
#include "engine/files/activation_writer.h"
#include "engine/files/batch_prefetcher.h"
#include "tests/support/temporary_folder.h"

namespace sae {
namespace {

using testing::ElementsAre;
using testing::ElementsAreArray;
using testing::HasSubstr;
using testing::ThrowsMessage;

/// Rows of width 1: row r has the value (and so the norm) given, position r % 4 and token 10 + r.
void write_store(const std::string& folder, const std::vector<float>& values, bool with_tokens = true) {
  ActivationWriter writer(folder, {"tiny", 0, "resid_post", "train", Dtype::f32, 1, 4, {}}, IfStoreExists::refuse, 64);
  for (size_t i = 0; i < values.size(); ++i) {
    const std::vector<int32_t> token = {static_cast<int32_t>(10 + i)};
    const std::vector<uint16_t> position = {static_cast<uint16_t>(i % 4)};
    const std::vector<float> row = {values[i]};
    if (with_tokens) {
      writer.append(row, token, position, std::vector<int32_t>{0});
    } else {
      writer.append(row);
    }
  }
  writer.finish();
}
std::vector<int64_t> kept(const RowSelection& selection) { return {selection.rows().begin(), selection.rows().end()}; }

class Selection : public testing::Test {
 protected:
  const ActivationStore& store(const std::vector<float>& values, bool with_tokens = true) {
    write_store(folder_.path("s"), values, with_tokens);
    return *(store_ = std::make_unique<ActivationStore>(folder_.path("s")));
  }
  TemporaryFolder folder_;
  std::unique_ptr<ActivationStore> store_;
  std::unique_ptr<Device> device_ = Device::open(DeviceKind::cpu);
};

TEST_F(Selection, DropsByPositionTokenAndNorm) {
  store({900, 1, -2, 3, 800, 31, 2, 3});
  EXPECT_THAT(kept({*store_, {}}), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7));
  EXPECT_THAT(kept({*store_, {1, {}, 0}}), ElementsAre(1, 2, 3, 5, 6, 7));
  EXPECT_THAT(kept({*store_, {0, {11, 17}, 0}}), ElementsAre(0, 2, 3, 4, 5, 6));
  // norms 1 2 2 3 3 31 800 900: the median is 3
  const RowSelection selection(*store_, {1, {12}, 10});
  EXPECT_EQ(selection.median_norm(), 3);
  EXPECT_THAT(kept(selection), ElementsAre(1, 3, 6, 7));
  EXPECT_EQ(selection.describe(),
            "4 of 8 rows; dropped 4 (50.00 %): 2 at positions below 1, 1 skipped tokens, 1 with norms above 10 medians "
            "of 3");
  EXPECT_EQ(selection.row(2), 6);
  EXPECT_THAT(selection.rows(1, 3), ElementsAre(3, 6));
  EXPECT_THROW(selection.rows(1, 5), Error);
}

TEST_F(Selection, ANormOfExactlyTheMultipleStays) {
  store({1, 1, 10, 10.5f});
  EXPECT_THAT(kept({*store_, {0, {}, 1}}), ElementsAre(0, 1, 2));
}

TEST_F(Selection, RowsWithoutTokens) {
  store({1, 2, 3}, false);
  EXPECT_EQ(RowSelection(*store_, {1, {}, 0}).count(), 3);
  EXPECT_THAT([&] { RowSelection(*store_, {1, {5}, 0}); }, ThrowsMessage<Error>(HasSubstr("have no token ids")));
}

TEST_F(Selection, Refusals) {
  store({1, 2, 3, 4});
  EXPECT_THAT([&] { RowSelection(*store_, {4, {}, 0}); }, ThrowsMessage<Error>(HasSubstr("no row is left: 0 of 4")));
  EXPECT_THROW(RowSelection(*store_, {-1, {}, 0}), Error);
  EXPECT_THROW(RowSelection(*store_, {0, {int64_t{1} << 31}, 0}), Error);
  EXPECT_THROW(RowSelection(*store_, {0, {-1}, 0}), Error);
  EXPECT_THROW(RowSelection(*store_, {0, {}, -2}), Error);
}

TEST_F(Selection, EveryPassHoldsEveryRowOnceInAnOrderOfItsOwn) {
  store(std::vector<float>(50, 1));
  const RowSelection selection(*store_, {1, {}, 0});
  const int64_t count = selection.count();
  const RowOrder order(selection, 7, true);
  const std::vector<int64_t> first = order.rows(0, count), second = order.rows(count, count);
  EXPECT_NE(first, kept(selection));
  EXPECT_NE(first, second);
  EXPECT_THAT(first, testing::UnorderedElementsAreArray(kept(selection)));
  EXPECT_THAT(second, testing::UnorderedElementsAreArray(kept(selection)));
  EXPECT_NE(RowOrder(selection, 8, true).rows(0, count), first);
  EXPECT_EQ(RowOrder(selection, 7, true).rows(0, count), first);
  // Any cut of the stream gives the same stream.
  std::vector<int64_t> pieces;
  for (int64_t begin = 0; begin < 2 * count; begin += 7) {
    const auto piece = order.rows(begin, std::min<int64_t>(7, 2 * count - begin));
    pieces.insert(pieces.end(), piece.begin(), piece.end());
  }
  std::vector<int64_t> both = first;
  both.insert(both.end(), second.begin(), second.end());
  EXPECT_EQ(pieces, both);
}

TEST_F(Selection, UnshuffledOrderIsTheStoredOne) {
  store({1, 2, 3, 4, 5});
  const RowSelection selection(*store_, {1, {}, 0});
  EXPECT_THAT(RowOrder(selection, 7, false).rows(1, 5), ElementsAre(2, 3, 1, 2, 3));
  EXPECT_THROW(RowOrder(selection, 7, false).rows(-1, 5), Error);
}

TEST_F(Selection, PrefetchedBatchesAreThoseOfTheOrder) {
  std::vector<float> values(50);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  store(values);
  const RowSelection selection(*store_, {1, {}, 0});
  const auto negate = [](float* rows, int64_t count, int64_t columns) {
    for (int64_t i = 0; i < count * columns; ++i) rows[i] = -rows[i];
  };
  for (const int64_t first : {0, 5}) {
    BatchPrefetcher batches(*store_, selection, {8, 7, true, first}, negate, *device_);
    for (int64_t step = first; step < 20; ++step) {
      EXPECT_EQ(batches.step(), step);
      const Tensor batch = batches.next();
      EXPECT_EQ(batch.shape(), (Shape{8, 1}));
      std::vector<float> expected;
      for (const int64_t row : RowOrder(selection, 7, true).rows(step * 8, 8))
        expected.push_back(-static_cast<float>(row));
      EXPECT_THAT(batch.to_vector<float>(), ElementsAreArray(expected));
    }
  }
}

TEST_F(Selection, PrefetcherHandsOverWhatWentWrong) {
  store({1, 2, 3});
  const RowSelection selection(*store_, {});
  int calls = 0;
  BatchPrefetcher batches(
      *store_, selection, {2, 1}, [&](float*, int64_t, int64_t) { CHECK(++calls < 3, "the third batch is bad"); },
      *device_);
  EXPECT_NO_THROW(batches.next());
  EXPECT_NO_THROW(batches.next());
  for (int i = 0; i < 2; ++i) {
    EXPECT_THAT([&] { batches.next(); }, ThrowsMessage<Error>(HasSubstr("the third batch is bad")));
  }
  EXPECT_THROW(BatchPrefetcher(*store_, selection, {0, 1}, nullptr, *device_), Error);
  EXPECT_THROW(BatchPrefetcher(*store_, selection, {1, 1, true, -1}, nullptr, *device_), Error);
  const auto simt = Device::open(DeviceKind::simt);
  EXPECT_THAT(
      [&] {
        BatchPrefetcher(*store_, selection, {1, 1}, nullptr, *simt);
      },
      ThrowsMessage<Error>(HasSubstr("made on the host, not")));
}

TEST_F(Selection, APrefetcherStopsWithItsBatchesUnread) {
  store({1, 2, 3});
  const RowSelection selection(*store_, {});
  for (int i = 0; i < 20; ++i) BatchPrefetcher batches(*store_, selection, {2, 1}, nullptr, *device_);
}

}  // namespace
}  // namespace sae
