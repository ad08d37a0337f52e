#include "engine/shape.h"

#include <limits>
#include <vector>

#include "tests/support/tensors.h"

namespace sae {
namespace {

TEST(Shape, CountsRowsColumnsAndElements) {
  const Shape shape{2, 3, 4};
  EXPECT_EQ(shape.rank(), 3);
  EXPECT_EQ(shape[1], 3);
  EXPECT_EQ(shape.rows(), 6);
  EXPECT_EQ(shape.cols(), 4);
  EXPECT_EQ(shape.elements(), 24);
  EXPECT_EQ(shape.to_string(), "[2, 3, 4]");
  EXPECT_EQ(Shape({5}).rows(), 1);
  EXPECT_EQ(Shape({5}).cols(), 5);
  EXPECT_EQ(Shape().elements(), 0);
  EXPECT_EQ(Shape().to_string(), "[]");
}

TEST(Shape, AnExtentMayBeZero) {
  EXPECT_EQ(Shape({0, 7}).elements(), 0);
  EXPECT_EQ(Shape({0, 7}).cols(), 7);
  EXPECT_EQ(Shape({7, 0}).rows(), 7);
}

TEST(Shape, EqualityIsOfEveryExtent) {
  EXPECT_EQ(Shape({2, 3}), Shape({2, 3}));
  EXPECT_NE(Shape({2, 3}), Shape({3, 2}));
  EXPECT_NE(Shape({6}), Shape({1, 6}));
  const std::vector<int64_t> extents = {2, 3};
  EXPECT_EQ(Shape(std::span<const int64_t>(extents)), Shape({2, 3}));
}

TEST(Shape, Refusals) {
  constexpr int64_t huge = std::numeric_limits<int64_t>::max();
  EXPECT_REFUSED(Shape({1, 1, 1, 1, 1}), "at most 4 extents, got 5");
  EXPECT_REFUSED(Shape({2, -1}), "extent 1 is -1");
  EXPECT_REFUSED(Shape({huge, 2}), "overflow");
  EXPECT_EQ(Shape({huge}).elements(), huge);
}

}  // namespace
}  // namespace sae
