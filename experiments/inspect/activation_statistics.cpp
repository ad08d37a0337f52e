#include "experiments/inspect/activation_statistics.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

#include "engine/parallel.h"
#include "experiments/common/progress.h"

namespace sae {
namespace {

constexpr int64_t rows_at_once = 1024;
constexpr float long_multiple = 10;

/// The median of absolute values; of an even number the upper one.
float median_magnitude(const float* row, int64_t width) {
  std::vector<float> magnitudes(static_cast<size_t>(width));
  for (int64_t j = 0; j < width; ++j) magnitudes[static_cast<size_t>(j)] = std::abs(row[j]);
  const auto middle = magnitudes.begin() + width / 2;
  std::nth_element(magnitudes.begin(), middle, magnitudes.end());
  return *middle;
}

/// Sums over the rows of a group, in their order.
class ChannelSums {
 public:
  ChannelSums(const ActivationStore& store, std::vector<int64_t> rows)
      : rows_(std::move(rows)), channels_(static_cast<size_t>(store.width())) {
    std::vector<float> values;
    for (size_t begin = 0; begin < rows_.size(); begin += rows_at_once) {
      const auto some = std::span(rows_).subspan(begin, std::min<size_t>(rows_at_once, rows_.size() - begin));
      values.resize(some.size() * channels_.size());
      store.gather(some, values.data());
      add(store, some, values);
    }
  }

  ChannelReport report(int64_t channels) const {
    ChannelReport report;
    report.rows = static_cast<int64_t>(rows_.size());
    double energy = 0;
    for (const Channel& channel : channels_) {
      energy += channel.squares;
      const double mean = report.rows > 0 ? channel.unit_sum / static_cast<double>(report.rows) : 0;
      report.mean_share += mean * mean;
    }
    std::vector<size_t> order(channels_.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return channels_[a].squares > channels_[b].squares; });
    order.resize(std::min(order.size(), static_cast<size_t>(channels)));
    for (const size_t c : order) {
      report.largest.push_back({static_cast<int64_t>(c), energy > 0 ? channels_[c].squares / energy : 0,
                                channels_[c].largest, channels_[c].largest_multiple});
    }
    return report;
  }

 private:
  struct Channel {
    double squares = 0, unit_sum = 0, largest = 0, largest_multiple = 0;
  };

  void add(const ActivationStore& store, std::span<const int64_t> rows, const std::vector<float>& values) {
    const auto count = static_cast<int64_t>(rows.size()), width = static_cast<int64_t>(channels_.size());
    std::vector<double> median(rows.size());
    parallel_for(count, grain_for(width), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        median[static_cast<size_t>(r)] = static_cast<double>(median_magnitude(values.data() + r * width, width));
      }
    });
    parallel_for(width, 16, [&](int64_t begin, int64_t end) {
      for (size_t r = 0; r < rows.size(); ++r) {
        const double norm = static_cast<double>(store.norms()[static_cast<size_t>(rows[r])]);
        for (int64_t c = begin; c < end; ++c) {
          Channel& channel = channels_[static_cast<size_t>(c)];
          const double x = static_cast<double>(values[r * channels_.size() + static_cast<size_t>(c)]);
          channel.squares += x * x;
          if (norm > 0) channel.unit_sum += x / norm;
          channel.largest = std::max(channel.largest, std::abs(x));
          if (median[r] > 0) channel.largest_multiple = std::max(channel.largest_multiple, std::abs(x) / median[r]);
        }
      }
    });
  }

  std::vector<int64_t> rows_;
  std::vector<Channel> channels_;
};

PositionNorms norms_of(int64_t first, int64_t last, std::vector<float> norms) {
  std::sort(norms.begin(), norms.end());
  const auto quantile = [&](double part) {
    return static_cast<double>(norms[static_cast<size_t>(part * static_cast<double>(norms.size() - 1))]);
  };
  return {first, last, static_cast<int64_t>(norms.size()), quantile(0.05), quantile(0.5), quantile(0.95)};
}

/// Positions in groups that double.
std::vector<PositionNorms> norms_by_position(const ActivationStore& store) {
  const auto norms = store.norms();
  if (store.positions().empty()) return {norms_of(0, 0, {norms.begin(), norms.end()})};
  std::vector<std::vector<float>> groups;
  for (size_t row = 0; row < norms.size(); ++row) {
    const auto group = static_cast<size_t>(std::bit_width(uint32_t{store.positions()[row]}));
    if (groups.size() <= group) groups.resize(group + 1);
    groups[group].push_back(norms[row]);
  }
  const int64_t longest = *std::max_element(store.positions().begin(), store.positions().end());
  std::vector<PositionNorms> all;
  for (size_t i = 0; i < groups.size(); ++i) {
    const int64_t first = i == 0 ? 0 : int64_t{1} << (i - 1), last = i == 0 ? 0 : 2 * first - 1;
    if (!groups[i].empty()) all.push_back(norms_of(first, std::min(last, longest), std::move(groups[i])));
  }
  return all;
}

void append(std::string& text, const std::string& rows, const ChannelReport& report) {
  if (report.rows == 0) return;
  text += fmt::format("\n{}: {}; scaled to unit length, their mean has {:.1f} % of their energy\n", rows,
                      format_count(report.rows), 100 * report.mean_share);
  text +=
      fmt::format("  {:>7}  {:>11}  {:>12}  {:>23}\n", "channel", "energy, %", "largest |x|", "over its row's median");
  for (const ChannelStatistics& one : report.largest) {
    text += fmt::format("  {:>7}  {:>11.2f}  {:>12.1f}  {:>23.0f}\n", one.channel, 100 * one.energy_share, one.largest,
                        one.largest_multiple);
  }
}

}  // namespace

ActivationStatistics activation_statistics(const ActivationStore& store, int64_t channels) {
  ActivationStatistics statistics;
  statistics.norms = norms_by_position(store);
  const auto norms = store.norms();
  std::vector<float> sorted(norms.begin(), norms.end());
  const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>((sorted.size() - 1) / 2);
  std::nth_element(sorted.begin(), middle, sorted.end());
  std::vector<int64_t> first, others;
  for (int64_t row = 0; row < store.rows(); ++row) {
    const auto i = static_cast<size_t>(row);
    if (!store.positions().empty() && store.positions()[i] == 0) {
      first.push_back(row);
    } else if (norms[i] > long_multiple * *middle) {
      ++statistics.long_rows;
    } else {
      others.push_back(row);
    }
  }
  statistics.first_position = ChannelSums(store, std::move(first)).report(channels);
  statistics.others = ChannelSums(store, std::move(others)).report(channels);
  return statistics;
}

std::string to_string(const StoreDescription& store, const ActivationStatistics& statistics) {
  const int64_t rows = statistics.first_position.rows + statistics.others.rows + statistics.long_rows;
  std::string text = fmt::format("{}, block {}, {}: {} rows of width {}\n\n", store.model, store.layer, store.site,
                                 format_count(rows), store.width);
  text += fmt::format("norms at position  {:>10}  {:>10}  {:>10}  {:>9}\n", "5 %", "median", "95 %", "rows");
  for (const PositionNorms& one : statistics.norms) {
    const bool all = statistics.first_position.rows == 0;
    const std::string positions = all                     ? "all"
                                  : one.first == one.last ? fmt::format("{}", one.first)
                                                          : fmt::format("{}-{}", one.first, one.last);
    text += fmt::format("  {:<16}  {:>10.1f}  {:>10.1f}  {:>10.1f}  {:>9}\n", positions, one.low, one.median, one.high,
                        format_count(one.rows));
  }
  append(text, "rows at position 0", statistics.first_position);
  const std::string left_out = statistics.long_rows == 0
                                   ? ""
                                   : fmt::format(" ({} longer than {} medians left out)",
                                                 format_count(statistics.long_rows), static_cast<int>(long_multiple));
  append(text, (statistics.first_position.rows > 0 ? "other rows" : "rows") + left_out, statistics.others);
  return text;
}

}  // namespace sae
