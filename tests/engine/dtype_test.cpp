#include "engine/dtype.h"

#include <cmath>
#include <limits>

#include "tests/support/tensors.h"

namespace sae {
namespace {

TEST(Dtype, SizesAreThoseOfTheElements) {
  EXPECT_EQ(size_of(Dtype::f32), int64_t{sizeof(float)});
  EXPECT_EQ(size_of(Dtype::f64), int64_t{sizeof(double)});
  EXPECT_EQ(size_of(Dtype::bf16), int64_t{sizeof(bfloat16)});
  EXPECT_EQ(size_of(Dtype::i32), 4);
  EXPECT_EQ(size_of(Dtype::i64), 8);
  EXPECT_EQ(size_of(Dtype::u16), 2);
  EXPECT_EQ(name_of(Dtype::bf16), "bf16");
  EXPECT_EQ(name_of(dtype_of<int64_t>()), "i64");
}

TEST(Dtype, Bfloat16RoundsToNearestTiesToEven) {
  const auto round_trip = [](float value) { return static_cast<float>(bfloat16(value)); };
  EXPECT_EQ(round_trip(1.0f), 1.0f);
  EXPECT_EQ(round_trip(-0.15625f), -0.15625f);
  constexpr float unit = 0x1p-7f;  // the step of bfloat16 above 1
  EXPECT_EQ(round_trip(1 + 0.4f * unit), 1.0f);
  EXPECT_EQ(round_trip(1 + 0.6f * unit), 1 + unit);
  EXPECT_EQ(round_trip(1 + 0.5f * unit), 1.0f) << "a tie goes to the even neighbour below";
  EXPECT_EQ(round_trip(1 + 1.5f * unit), 1 + 2 * unit) << "and here to the even one above";
  EXPECT_TRUE(std::signbit(round_trip(-0.0f)));
}

TEST(Dtype, Bfloat16KeepsWhatIsNotFinite) {
  const auto round_trip = [](float value) { return static_cast<float>(bfloat16(value)); };
  constexpr float infinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(round_trip(infinity), infinity);
  EXPECT_EQ(round_trip(-infinity), -infinity);
  EXPECT_EQ(round_trip(std::numeric_limits<float>::max()), infinity);
  EXPECT_TRUE(std::isnan(round_trip(std::numeric_limits<float>::quiet_NaN())));
  // A NaN whose payload lies in the lower half alone would become infinity if it were cut off.
  EXPECT_TRUE(std::isnan(round_trip(std::bit_cast<float>(0x7f800001u))));
  EXPECT_TRUE(std::isnan(round_trip(std::bit_cast<float>(0x7fffffffu))));
}

TEST(Dtype, VisitRealTurnsTheDtypeIntoAType) {
  EXPECT_EQ(visit_real("op", Dtype::f32, [](auto zero) { return sizeof(zero); }), sizeof(float));
  EXPECT_EQ(visit_real("op", Dtype::f64, [](auto zero) { return sizeof(zero); }), sizeof(double));
  for (const Dtype dtype : {Dtype::bf16, Dtype::i32, Dtype::i64, Dtype::u16}) {
    EXPECT_REFUSED(visit_real("some_op", dtype, [](auto) {}), "some_op: expected f32 or f64, got ");
  }
}

}  // namespace
}  // namespace sae
