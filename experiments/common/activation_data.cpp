#include "experiments/common/activation_data.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/error.h"
#include "engine/parallel.h"
#include "experiments/common/options.h"
#include "ops/geometric_median/geometric_median.h"

namespace sae {

void declare_data_options(Options& options) {
  options.group("Rows that are left out")
      .integer("skip-positions", 1, "N",
               "the first N positions of every context: attention sinks, a hundred times as long as other rows")
      .text("skip-tokens", "ID,ID", "rows at these tokens")
      .number("max-norm-multiple", 10, "M", "rows longer than M times the median; 0: none");
}

RowFilter data_options(const Options& options) {
  RowFilter filter;
  filter.skip_positions = options.get_integer("skip-positions", 0, 1 << 30);
  if (options.given("skip-tokens")) filter.skip_tokens = options.get_integers("skip-tokens");
  filter.max_norm_multiple = options.get_number("max-norm-multiple", 0, 1e9);
  return filter;
}

SplitRows::SplitRows(const std::string& folder, const RowFilter& filter, Device& device)
    : store_(folder),
      selection_(store_, filter),
      device_(device),
      own_host_(device.kind() == DeviceKind::cpu ? nullptr : Device::open(DeviceKind::cpu)),
      host_(own_host_ ? *own_host_ : device) {}

Tensor SplitRows::host_range(int64_t begin, int64_t end, InputNormalisation how) const {
  return normalise(store_.gather(selection_.rows(begin, end), host_), how).rows;
}

std::unique_ptr<BatchPrefetcher> SplitRows::batches(uint64_t seed, int64_t first_step, int64_t size, bool shuffle,
                                                    InputNormalisation how) const {
  const BatchPrefetcher::Options options{
      .batch_rows = size, .seed = seed, .shuffle = shuffle, .first_step = first_step};
  return std::make_unique<BatchPrefetcher>(
      store_, selection_, options,
      [how](float* values, int64_t rows, int64_t width) { normalise_in_place(values, rows, width, how); }, host_);
}

ActivationData::ActivationData(const std::string& path, const RowFilter& filter, Device& device)
    : folder(path),
      train(path + "/train", filter, device),
      validation(path + "/validation", filter, device),
      test(path + "/test", filter, device) {
  for (const SplitRows* split : {&validation, &test}) {
    CHECK(split->width() == train.width() && split->store().description().layer == train.store().description().layer &&
              split->store().description().site == train.store().description().site,
          "{}: is of another width, layer or site than the training split", split->store().folder());
  }
}

std::string ActivationData::describe() const {
  return fmt::format("train       {}\nvalidation  {}\ntest        {}\n", train.selection().describe(),
                     validation.selection().describe(), test.selection().describe());
}

std::string ActivationData::subject() const {
  const StoreDescription& description = train.store().description();
  const std::string site = description.site == "resid_post" ? "" : " " + description.site;
  return fmt::format("{}, block {}{}", description.model, description.layer, site);
}

DataStatistics data_statistics(const SplitRows& train, InputNormalisation how) {
  // In double, the sums of squares of unit rows keep the variance to many more digits than it is used with.
  constexpr int64_t batch = 4096;
  const int64_t width = train.width();
  const auto count = static_cast<double>(train.rows());
  std::vector<double> sum(static_cast<size_t>(width), 0.0), squares(static_cast<size_t>(width), 0.0);
  for (int64_t begin = 0; begin < train.rows(); begin += batch) {
    const Tensor x = train.host_range(begin, std::min(train.rows(), begin + batch), how);
    parallel_for(width, 64, [&](int64_t first, int64_t last) {
      for (int64_t row = 0; row < x.rows(); ++row) {
        const float* values = x.data<float>() + row * width;
        for (int64_t i = first; i < last; ++i) {
          sum[static_cast<size_t>(i)] += static_cast<double>(values[i]);
          squares[static_cast<size_t>(i)] += static_cast<double>(values[i]) * static_cast<double>(values[i]);
        }
      }
    });
  }
  std::vector<float> mean(static_cast<size_t>(width));
  double variance = 0;
  for (size_t i = 0; i < mean.size(); ++i) {
    const double centre = sum[i] / count;
    mean[i] = static_cast<float>(centre);
    variance += (squares[i] / count - centre * centre) / static_cast<double>(width);
  }
  return {Tensor::from(train.device(), {width}, mean), variance, how};
}

Tensor initial_pre_bias(const SplitRows& train, uint64_t seed, InputNormalisation how) {
  constexpr int64_t sample = 32768;
  const auto batch = train.batches(seed, 0, std::min(sample, train.rows()), true, how);
  return geometric_median(batch->next().to(train.device())).median;
}

}  // namespace sae
