#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "experiments/image_patches/photograph.h"

namespace sae {

/// The columns of every photograph are parted, so that no pixel is seen in training and in a test: the left eight
/// tenths are for training, a tenth each for validation and test.
enum class Split { train, validation, test };
inline constexpr std::array splits = {Split::train, Split::validation, Split::test};
/// The name of its store: "train", "validation", "test".
std::string_view name_of(Split split);

struct ColumnRange {
  int64_t begin = 0, end = 0;
};
ColumnRange columns_of(Split split, int64_t image_width);

/// Square patches from random places of photographs. Patch i of a split is a function of (seed, split, i); a photograph
/// is as likely as any other, whatever its size.
class PatchSampler {
 public:
  /// Throws where a split of a photograph is narrower or lower than a patch.
  PatchSampler(std::vector<GreyImage> photographs, int64_t side, uint64_t seed);

  int64_t width() const { return side_ * side_; }
  /// Patches [begin, begin + count), [count, side * side], pixels from 0 to 1 and less the patch's mean.
  std::vector<float> rows(Split split, int64_t begin, int64_t count) const;

 private:
  std::vector<GreyImage> photographs_;
  int64_t side_;
  uint64_t seed_;
};

}  // namespace sae
