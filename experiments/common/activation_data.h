#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/files/batch_prefetcher.h"
#include "engine/files/row_selection.h"
#include "ops/input_normalisation/input_normalisation.h"

namespace sae {

class Options;

/// Declares --skip-positions, --skip-tokens and --max-norm-multiple, and reads them: one choice for training, metrics
/// and densities.
void declare_data_options(Options& options);
RowFilter data_options(const Options& options);

/// The rows of one split that are used, as an autoencoder of that input normalisation sees them. They are made on the
/// host; `device` is where they are for.
class SplitRows {
 public:
  SplitRows(const std::string& folder, const RowFilter& filter, Device& device);

  int64_t rows() const { return selection_.count(); }
  int64_t width() const { return store_.width(); }
  Device& device() const { return device_; }
  const ActivationStore& store() const { return store_; }
  const RowSelection& selection() const { return selection_; }

  /// Rows [begin, end) of the selection, in stored order, on device().
  Tensor range(int64_t begin, int64_t end, InputNormalisation how = InputNormalisation::centred_unit_norm) const {
    return host_range(begin, end, how).to(device_);
  }
  /// The same, where the host can read them.
  Tensor host_range(int64_t begin, int64_t end, InputNormalisation how = InputNormalisation::centred_unit_norm) const;
  /// The batches of a training run, on the host, read ahead by a thread. Batch s holds positions [s * size, (s + 1) *
  /// size) of an endless stream of passes, each in an order of its own: a function of (seed, s, size) alone, so a
  /// resumed run needs no other state.
  std::unique_ptr<BatchPrefetcher> batches(uint64_t seed, int64_t first_step, int64_t size, bool shuffle,
                                           InputNormalisation how = InputNormalisation::centred_unit_norm) const;

 private:
  ActivationStore store_;
  RowSelection selection_;
  Device& device_;
  std::unique_ptr<Device> own_host_;  // where device_ is another
  Device& host_;
};

/// A harvested folder: the splits train, validation and test.
struct ActivationData {
  ActivationData(const std::string& folder, const RowFilter& filter, Device& device);
  std::string folder;
  SplitRows train, validation, test;

  /// One line about each split: rows, and the share that was dropped and why.
  std::string describe() const;
  /// "SmolLM2-135M-Instruct, Q4_1 dequantised, block 22": the subject as the store names it.
  std::string subject() const;
};

/// What the training split says of the data, over all its rows as an autoencoder sees them, in double: the mean row
/// (Gao et al.: the mean vector comes from the training split) and the variance, mean over rows and width of (x -
/// mean)^2.
struct DataStatistics {
  Tensor mean;  // [width], f32
  double variance = 0;
  InputNormalisation normalisation = InputNormalisation::centred_unit_norm;
};
DataStatistics data_statistics(const SplitRows& train, InputNormalisation how = InputNormalisation::centred_unit_norm);

/// The geometric median of the first 32,768 rows of the shuffled training split: where b_pre starts (Gao et al.,
/// appendix A).
Tensor initial_pre_bias(const SplitRows& train, uint64_t seed,
                        InputNormalisation how = InputNormalisation::centred_unit_norm);

}  // namespace sae
