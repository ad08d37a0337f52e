#include "experiments/image_patches/patches.h"

#include <utility>

#include "engine/error.h"
#include "engine/parallel.h"
#include "engine/philox.h"

namespace sae {
namespace {

/// Streams of the seed, one for each split; not those of an autoencoder's start.
constexpr uint64_t first_stream = 800;

}  // namespace

std::string_view name_of(Split split) {
  switch (split) {
    case Split::train:
      return "train";
    case Split::validation:
      return "validation";
    case Split::test:
      return "test";
  }
  fail("split: unknown value {}", static_cast<int>(split));
}

ColumnRange columns_of(Split split, int64_t image_width) {
  const int64_t validation = image_width * 8 / 10, test = image_width * 9 / 10;
  switch (split) {
    case Split::train:
      return {0, validation};
    case Split::validation:
      return {validation, test};
    case Split::test:
      return {test, image_width};
  }
  fail("split: unknown value {}", static_cast<int>(split));
}

PatchSampler::PatchSampler(std::vector<GreyImage> photographs, int64_t side, uint64_t seed)
    : photographs_(std::move(photographs)), side_(side), seed_(seed) {
  CHECK(!photographs_.empty(), "image patches: no photographs");
  CHECK(side >= 2, "image patches: patches of {} pixels a side, expected at least 2", side);
  for (const GreyImage& image : photographs_) {
    for (const Split split : splits) {
      const ColumnRange columns = columns_of(split, image.width);
      CHECK(columns.end - columns.begin >= side && image.height >= side,
            "image patches: a photograph of {} x {} pixels leaves the {} split {} columns, fewer than a patch of {} x "
            "{} needs; leave it out, or lower the patch's size",
            image.width, image.height, name_of(split), columns.end - columns.begin, side, side);
    }
  }
}

std::vector<float> PatchSampler::rows(Split split, int64_t begin, int64_t count) const {
  std::vector<float> out(static_cast<size_t>(count * width()));
  const Philox random(seed_, first_stream + static_cast<uint64_t>(split));
  parallel_for(count, grain_for(width()), [&](int64_t first, int64_t end) {
    for (int64_t i = first; i < end; ++i) {
      const auto draw = static_cast<uint64_t>(3 * (begin + i));
      const GreyImage& image = photographs_[random.below(draw, photographs_.size())];
      const ColumnRange columns = columns_of(split, image.width);
      const auto places = static_cast<uint64_t>(columns.end - columns.begin - side_ + 1);
      const int64_t left = columns.begin + static_cast<int64_t>(random.below(draw + 1, places));
      const auto top = static_cast<int64_t>(random.below(draw + 2, static_cast<uint64_t>(image.height - side_ + 1)));
      float* patch = out.data() + i * width();
      int64_t sum = 0;
      for (int64_t y = 0; y < side_; ++y) {
        for (int64_t x = 0; x < side_; ++x) {
          sum += image.pixels[static_cast<size_t>((top + y) * image.width + left + x)];
        }
      }
      const float mean = static_cast<float>(sum) / static_cast<float>(width());
      for (int64_t y = 0; y < side_; ++y) {
        for (int64_t x = 0; x < side_; ++x) {
          const auto pixel = static_cast<float>(image.pixels[static_cast<size_t>((top + y) * image.width + left + x)]);
          patch[y * side_ + x] = (pixel - mean) / 255.0f;
        }
      }
    }
  });
  return out;
}

}  // namespace sae
