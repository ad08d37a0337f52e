#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

namespace sae {

/// The extents of a dense row-major tensor: at most four, stored inline. A scalar is [1].
class Shape {
 public:
  static constexpr int max_rank = 4;

  Shape() = default;
  /// Throws on more than four extents, on a negative extent, and where the number of elements overflows int64.
  Shape(std::initializer_list<int64_t> extents) : Shape(std::span<const int64_t>(extents.begin(), extents.size())) {}
  explicit Shape(std::span<const int64_t> extents);

  int rank() const { return rank_; }
  int64_t operator[](int axis) const { return extents_[static_cast<size_t>(axis)]; }
  int64_t elements() const { return elements_; }
  /// The product of everything but the last extent: a tensor of any rank is read as rows of its last extent.
  int64_t rows() const { return rows_; }
  int64_t cols() const { return rank_ == 0 ? 0 : extents_[static_cast<size_t>(rank_ - 1)]; }
  /// "[2, 3]"
  std::string to_string() const;

  friend bool operator==(const Shape& a, const Shape& b) { return a.rank_ == b.rank_ && a.extents_ == b.extents_; }

 private:
  std::array<int64_t, max_rank> extents_{};
  int rank_ = 0;
  int64_t elements_ = 0;
  int64_t rows_ = 0;
};

}  // namespace sae
