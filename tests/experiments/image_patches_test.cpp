#include <numbers>
#include <set>

#include "engine/files/activation_store.h"
#include "experiments/image_patches/filters.h"
#include "experiments/image_patches/patch_stores.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tensors.h"

namespace sae {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;

/// Columns alternate between 0 and a number that says to which split they belong: 10, 50 and 200.
GreyImage stripes() {
  GreyImage image{80, 20, {}};
  for (int64_t i = 0; i < image.width * image.height; ++i) {
    const int64_t x = i % image.width;
    image.pixels.push_back(x % 2 == 0 ? uint8_t{0} : x < 64 ? uint8_t{10} : x < 72 ? uint8_t{50} : uint8_t{200});
  }
  return image;
}

TEST(Patches, ComeFromTheirOwnColumnsWithoutTheirMean) {
  const PatchSampler sampler({stripes()}, 4, 7);
  const float steps[] = {10, 50, 200};
  for (const Split split : splits) {
    const std::vector<float> rows = sampler.rows(split, 0, 200);
    for (size_t row = 0; row < 200; ++row) {
      // Half of a patch is 0, half the split's number: half the number above and below its mean.
      const float half = steps[static_cast<int>(split)] / 2 / 255;
      for (size_t i = 0; i < 16; ++i) {
        EXPECT_NEAR(std::abs(rows[row * 16 + i]), half, 1e-6) << row;
        if (i % 4 > 0) {
          EXPECT_NEAR(rows[row * 16 + i], -rows[row * 16 + i - 1], 1e-6);
        }
      }
    }
  }
}

TEST(Patches, AreAFunctionOfTheirNumber) {
  GreyImage image{40, 40, {}};
  for (int i = 0; i < 1600; ++i)
    image.pixels.push_back(static_cast<uint8_t>(Philox(1, 0).word(static_cast<uint64_t>(i))));
  const PatchSampler sampler({image, image}, 3, 7);
  const std::vector<float> all = sampler.rows(Split::train, 0, 50), part = sampler.rows(Split::train, 20, 10);
  EXPECT_EQ(std::vector<float>(all.begin() + 20 * 9, all.begin() + 30 * 9), part);
  std::set<float> firsts;
  for (size_t i = 0; i < 50; ++i) firsts.insert(all[i * 9]);
  EXPECT_GT(firsts.size(), 40u);
}

TEST(Patches, ColumnsOfSplitsDoNotMeet) {
  for (const int64_t width : {1, 9, 10, 11, 99, 640}) {
    EXPECT_EQ(columns_of(Split::train, width).begin, 0);
    EXPECT_EQ(columns_of(Split::train, width).end, columns_of(Split::validation, width).begin);
    EXPECT_EQ(columns_of(Split::validation, width).end, columns_of(Split::test, width).begin);
    EXPECT_EQ(columns_of(Split::test, width).end, width);
  }
}

TEST(Patches, RefusesPhotographsThatAreTooSmall) {
  EXPECT_REFUSED(PatchSampler({}, 4, 0), "no photographs");
  EXPECT_REFUSED(PatchSampler({stripes()}, 9, 0), "leaves the validation split 8 columns");
  EXPECT_REFUSED(PatchSampler({GreyImage{400, 3, std::vector<uint8_t>(1200)}}, 4, 0), "400 x 3 pixels");
}

/// The covariance of rows of width 2, about their own mean: xx, xy, yy.
std::array<double, 3> covariance(const std::vector<float>& rows) {
  double x = 0, y = 0, xx = 0, xy = 0, yy = 0;
  const auto count = static_cast<double>(rows.size() / 2);
  for (size_t i = 0; i < rows.size(); i += 2) {
    const double a = rows[i], b = rows[i + 1];
    x += a / count, y += b / count, xx += a * a / count, xy += a * b / count, yy += b * b / count;
  }
  return {xx - x * x, xy - x * y, yy - y * y};
}

TEST(Whitening, ByHand) {
  // Variance 18 along (1, 1) / sqrt(2), 2 along (1, -1) / sqrt(2), around the mean (2, -1).
  std::vector<float> rows;
  for (const float s : {-3.0f, 3.0f}) {
    for (const float t : {-1.0f, 1.0f}) rows.insert(rows.end(), {2 + s + t, -1 + s - t});
  }
  const Whitening whitening = Whitening::fit(rows, 2, 0);
  EXPECT_NEAR(whitening.spectrum()[0], 2, 1e-12);
  EXPECT_NEAR(whitening.spectrum()[1], 18, 1e-12);
  std::vector<float> whitened = rows;
  whitening.apply(whitened);
  EXPECT_NEAR(covariance(whitened)[0], 1, 1e-6);
  EXPECT_NEAR(covariance(whitened)[1], 0, 1e-6);
  EXPECT_NEAR(covariance(whitened)[2], 1, 1e-6);
  // The mean goes to 0; (1, 1) and (1, -1) from it only change their lengths: ZCA turns nothing.
  std::vector<float> three = {2, -1, 3, 0, 3, -2};
  whitening.apply(three);
  const float along = 1 / std::sqrt(18.0f), across = 1 / std::sqrt(2.0f);
  const std::vector<float> expected = {0, 0, along, along, across, -across};
  EXPECT_THAT(three, ::testing::Pointwise(::testing::FloatNear(1e-6f), expected));
  // epsilon 0.2 of the mean eigenvalue, 10, adds 2: variances 18 / 20 and 2 / 4.
  whitened = rows;
  Whitening::fit(rows, 2, 0.2).apply(whitened);
  EXPECT_NEAR(covariance(whitened)[0], (0.9 + 0.5) / 2, 1e-6);
  EXPECT_NEAR(covariance(whitened)[1], (0.9 - 0.5) / 2, 1e-6);
}

TEST(Whitening, ManyDirectionsBecomeEquallyStrong) {
  const auto device = Device::open(DeviceKind::cpu);
  constexpr int64_t count = 5000, width = 7;
  std::vector<float> rows = testing::random_tensor(*device, {count, width}, Dtype::f32, 3).to_vector<float>();
  for (int64_t i = 0; i < count; ++i) {
    for (int64_t j = 1; j < width; ++j)
      rows[static_cast<size_t>(i * width + j)] += 0.8f * rows[static_cast<size_t>(i * width + j - 1)];
  }
  Whitening::fit(rows, width, 0).apply(rows);
  for (int64_t j = 0; j < width; ++j) {
    for (int64_t k = 0; k < width; ++k) {
      double sum = 0;
      for (int64_t i = 0; i < count; ++i) {
        sum += static_cast<double>(rows[static_cast<size_t>(i * width + j)]) *
               static_cast<double>(rows[static_cast<size_t>(i * width + k)]);
      }
      EXPECT_NEAR(sum / count, j == k ? 1 : 0, 1e-4) << j << ' ' << k;
    }
  }
}

TEST(Whitening, DirectionsWithoutVarianceStayAtZero) {
  std::vector<float> rows = {1, 1, -1, -1, 2, 2, -2, -2};  // nothing along (1, -1)
  Whitening::fit(rows, 2, 0).apply(rows);
  EXPECT_NEAR(rows[0], rows[1], 1e-5);
  EXPECT_NEAR(covariance(rows)[0], 0.5, 1e-5);
}

TEST(Whitening, Refuses) {
  const std::vector<float> rows = {1, 2, 3, 4}, same = {1, 2, 1, 2};
  EXPECT_REFUSED(Whitening::fit(rows, 3, 0), "4 values are no rows of width 3");
  EXPECT_REFUSED(Whitening::fit(rows, 4, 0), "1 rows, expected at least 2");
  EXPECT_REFUSED(Whitening::fit(rows, 2, -1), "epsilon is -1");
  EXPECT_REFUSED(Whitening::fit(same, 2, 0), "all rows are the same");
}

std::vector<float> gabor(int64_t side, double x, double y, double angle, double frequency, double length,
                         double breadth) {
  std::vector<float> filter;
  for (int64_t i = 0; i < side * side; ++i) {
    const double dx = static_cast<double>(i % side) - x, dy = static_cast<double>(i / side) - y;
    const double u = dx * std::cos(angle) + dy * std::sin(angle), v = dy * std::cos(angle) - dx * std::sin(angle);
    filter.push_back(static_cast<float>(std::exp(-u * u / (2 * length * length) - v * v / (2 * breadth * breadth)) *
                                        std::cos(2 * std::numbers::pi * frequency * u + 0.7)));
  }
  return filter;
}

TEST(Filters, AGaborIsFound) {
  for (const double angle : {0.05, 0.9, 2.0}) {
    const FilterMeasures found = measure_filters(gabor(12, 4.3, 6.8, angle, 0.19, 1.6, 2.3), 12).at(0);
    EXPECT_GT(found.gabor_share, 0.97);
    EXPECT_NEAR(found.gabor.orientation, angle, 0.12);
    EXPECT_NEAR(found.gabor.frequency, 0.19, 0.04);
    EXPECT_NEAR(found.gabor.x, 4.3, 0.6);
    EXPECT_NEAR(found.gabor.y, 6.8, 0.6);
    EXPECT_TRUE(is_edge(found));
  }
}

TEST(Filters, NoiseIsNoEdgeAndAWaveOverAllOfThePatchIsNotLocal) {
  const auto device = Device::open(DeviceKind::cpu);
  const std::vector<float> noise = testing::random_tensor(*device, {40, 144}, Dtype::f32, 5).to_vector<float>();
  const std::vector<FilterMeasures> measures = measure_filters(noise, 12);
  EXPECT_EQ(summarise(measures).edges, 0);
  EXPECT_LT(summarise(measures).gabor_share, 0.25);
  const FilterMeasures wave = measure_filters(gabor(12, 6, 6, 1, 0.2, 50, 50), 12).at(0);
  EXPECT_LT(wave.quarter_share, 0.5);
  EXPECT_FALSE(is_edge(wave));
}

TEST(Filters, QuarterShareByHand) {
  std::vector<float> filter(16, 1.0f);  // 4 x 4: any 2 x 2 window holds a quarter
  EXPECT_DOUBLE_EQ(measure_filters(filter, 4).at(0).quarter_share, 0.25);
  filter[5] = 3;  // 3 + 9 = 12 of 24
  EXPECT_DOUBLE_EQ(measure_filters(filter, 4).at(0).quarter_share, 0.5);
  const FilterMeasures zeros = measure_filters(std::vector<float>(16, 0.0f), 4).at(0);
  EXPECT_EQ(zeros.quarter_share, 0);
  EXPECT_EQ(zeros.gabor_share, 0);
  EXPECT_REFUSED(measure_filters(filter, 5), "no filters of 5 x 5");
}

TEST(Filters, TilesByHand) {
  const std::vector<float> filters = {0, 2, -2, 1, 0, 0, 0, 0};  // two of 2 x 2
  const TileImage image = tiles(filters, 2, 2);
  ASSERT_EQ(image.side, 7);
  ASSERT_EQ(image.pixels.size(), 49u);
  EXPECT_THAT(std::vector<uint8_t>(image.pixels.begin(), image.pixels.begin() + 7), Each(255));
  EXPECT_THAT(std::vector<uint8_t>(image.pixels.begin() + 7, image.pixels.begin() + 21),
              ElementsAre(255, 128, 255, 255, 128, 128, 255, 255, 0, 191, 255, 128, 128, 255));
}

TEST(PatchStores, AreWhiteAndGoOnWhereTheyWere) {
  const TemporaryFolder folder;
  const PatchStoreOptions options{.images = std::string(SAE_GOLDEN) + "/photographs",
                                  .patch_side = 6,
                                  .training_patches = 3000,
                                  .held_out_patches = 300,
                                  .epsilon = 0,
                                  .seed = 1};
  write_patch_stores(folder.path("a"), options, false);
  const ActivationStore train(folder.path("a/train")), test(folder.path("a/test"));
  EXPECT_EQ(train.rows(), 3000);
  EXPECT_EQ(test.rows(), 300);
  EXPECT_EQ(test.width(), 36);
  // 35 directions of variance 1: the mean of a patch is gone.
  double energy = 0;
  for (const float norm : train.norms()) energy += static_cast<double>(norm) * static_cast<double>(norm) / 3000;
  EXPECT_NEAR(energy, 35, 0.01);
  EXPECT_REFUSED(write_patch_stores(folder.path("a"), options, false), "train");
  write_patch_stores(folder.path("a"), options, true);
  EXPECT_EQ(ActivationStore(folder.path("a/train")).fingerprint(), train.fingerprint());
  PatchStoreOptions other = options;
  other.epsilon = 0.5;
  EXPECT_REFUSED(write_patch_stores(folder.path("a"), other, true), "train");
}

}  // namespace
}  // namespace sae
