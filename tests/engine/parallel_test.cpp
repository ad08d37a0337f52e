#include "engine/parallel.h"

#include <atomic>
#include <cmath>
#include <stdexcept>
#include <vector>

#include "engine/ordered_sum.h"
#include "engine/philox.h"
#include "tests/support/tensors.h"

namespace sae {
namespace {

/// Sets the number of threads for one test.
class Threads {
 public:
  explicit Threads(int count) : before_(threads()) { set_threads(count); }
  ~Threads() { set_threads(before_); }

 private:
  int before_;
};

TEST(Parallel, EachPositionIsVisitedOnceInChunksOfTheGrain) {
  for (const int workers : {1, 2, 5}) {
    const Threads scope(workers);
    for (const int64_t count : {0, 1, 31, 32, 33, 257}) {
      for (const int64_t grain : {-3, 0, 1, 7, 32, 1000}) {
        for (const Deal deal : {Deal::in_turn, Deal::to_the_free}) {
          std::vector<std::atomic<int>> visits(static_cast<size_t>(count));
          const auto visit_chunk = [&](int64_t begin, int64_t end) {
            EXPECT_EQ(begin % std::max<int64_t>(grain, 1), 0) << "a chunk's place does not depend on the threads";
            EXPECT_LE(end - begin, std::max<int64_t>(grain, 1));
            for (int64_t i = begin; i < end; ++i) ++visits[static_cast<size_t>(i)];
          };
          parallel_for(count, grain, visit_chunk, deal);
          for (const auto& visit : visits) ASSERT_EQ(visit, 1);
        }
      }
    }
  }
  parallel_for(-5, 1, [](int64_t, int64_t) { FAIL() << "a negative count is none"; });
}

TEST(Parallel, CarriesAnExceptionToTheCaller) {
  for (const int workers : {1, 3}) {
    const Threads scope(workers);
    const auto fail_late = [](int64_t begin, int64_t) {
      if (begin >= 40) throw std::runtime_error("row");
    };
    for (const Deal deal : {Deal::in_turn, Deal::to_the_free}) {
      EXPECT_THROW(parallel_for(100, 1, fail_late, deal), std::runtime_error);
    }
  }
}

TEST(Parallel, GrainsHoldAboutAsManyElements) {
  EXPECT_EQ(grain_for(1), 32768);
  EXPECT_EQ(grain_for(0), 32768);
  EXPECT_EQ(grain_for(576), 56);
  EXPECT_EQ(grain_for(1 << 20), 1);
}

TEST(OrderedSum, LaneSumsAddEveryTermOnce) {
  for (int64_t count = 0; count < 40; ++count) {
    // Distinct powers of two: any term that is missing or repeated shows.
    EXPECT_EQ(lane_sum(count, [](int64_t i) { return std::ldexp(1.0, static_cast<int>(i)); }),
              std::ldexp(1.0, static_cast<int>(count)) - 1);
  }
}

TEST(OrderedSum, HasTheSameBitsWithAnyNumberOfThreads) {
  const Philox random(1, 0);
  const auto run = [&](int workers) {
    const Threads scope(workers);
    return ordered_sum(10007, 64, [&](int64_t begin, int64_t end) {
      return lane_sum(end - begin, [&](int64_t i) { return random.normal(static_cast<uint64_t>(begin + i)); });
    });
  };
  const double one = run(1);
  EXPECT_EQ(run(2), one);
  EXPECT_EQ(run(5), one);
  double plain = 0;
  for (uint64_t i = 0; i < 10007; ++i) plain += random.normal(i);
  EXPECT_NEAR(one, plain, 1e-10);
  EXPECT_EQ(ordered_sum(0, 64, [](int64_t, int64_t) { return 1.0; }), 0);
}

}  // namespace
}  // namespace sae
