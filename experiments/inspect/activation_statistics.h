#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/files/activation_store.h"

namespace sae {

/// Norms of the rows at positions [first, last] of their contexts.
struct PositionNorms {
  int64_t first = 0, last = 0, rows = 0;
  double low = 0, median = 0, high = 0;  ///< 5 % of the rows lie below `low`, 5 % above `high`
};

struct ChannelStatistics {
  int64_t channel = 0;
  double energy_share = 0;  ///< of the sum of squares over all rows and channels
  double largest = 0;       ///< absolute value
  /// The most by which an absolute value exceeds the median of its row's: Sun et al. 2024 call values massive that are
  /// above 100 and about 1000 times that median.
  double largest_multiple = 0;
};

/// The channels of a group of rows.
struct ChannelReport {
  int64_t rows = 0;
  double mean_share = 0;                   ///< |m|^2, where m is the mean of the rows scaled to unit length
  std::vector<ChannelStatistics> largest;  ///< by their share of the energy
};

struct ActivationStatistics {
  std::vector<PositionNorms> norms;  ///< positions 0, 1, 2-3, 4-7, ...; all rows together where none has a position
  ChannelReport first_position;
  ChannelReport others;   ///< rows without positions too; long ones are left out
  int64_t long_rows = 0;  ///< at other positions, longer than ten times the median: training leaves them out too
};

/// What a store holds, before anything is trained on it. `channels`: how many of the largest are listed.
ActivationStatistics activation_statistics(const ActivationStore& store, int64_t channels);

/// As tables to read.
std::string to_string(const StoreDescription& store, const ActivationStatistics& statistics);

}  // namespace sae
