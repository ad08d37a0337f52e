#include "engine/shape.h"

#include <limits>

#include "engine/error.h"

namespace sae {
namespace {

int64_t checked_product(int64_t a, int64_t b) {
  CHECK(b == 0 || a <= std::numeric_limits<int64_t>::max() / b, "shape: {} x {} elements overflow 64 bits", a, b);
  return a * b;
}

}  // namespace

Shape::Shape(std::span<const int64_t> extents) : rank_(static_cast<int>(extents.size())) {
  CHECK(extents.size() <= max_rank, "shape: at most {} extents, got {}", int{max_rank}, extents.size());
  elements_ = 1;
  rows_ = 1;
  size_t axis = 0;
  for (const int64_t extent : extents) {
    CHECK(extent >= 0, "shape: extent {} is {}, expected at least 0", axis, extent);
    rows_ = elements_;
    elements_ = checked_product(elements_, extent);
    extents_[axis++] = extent;
  }
  if (rank_ == 0) elements_ = rows_ = 0;
}

std::string Shape::to_string() const {
  std::string text = "[";
  for (int axis = 0; axis < rank_; ++axis) {
    if (axis > 0) text += ", ";
    text += std::to_string((*this)[axis]);
  }
  return text + "]";
}

}  // namespace sae
