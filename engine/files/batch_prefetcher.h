#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>

#include "engine/files/row_selection.h"

namespace sae {

/// Reads the batches of a RowOrder ahead, in a thread of its own. Batch `step` holds the rows at positions
/// [step * batch_rows, (step + 1) * batch_rows), all of it always. store, selection and host must outlive it.
class BatchPrefetcher {
 public:
  /// Changes a batch in place before it is handed out: rows x width floats.
  using Prepare = std::function<void(float* values, int64_t rows, int64_t width)>;
  struct Options {
    int64_t batch_rows = 0;
    uint64_t seed = 0;
    bool shuffle = true;
    int64_t first_step = 0;
    int64_t ahead = 2;  ///< batches that wait ready
  };

  /// host: a device whose memory the host reads and writes.
  BatchPrefetcher(const ActivationStore& store, const RowSelection& selection, const Options& options, Prepare prepare,
                  Device& host);
  ~BatchPrefetcher();
  BatchPrefetcher(const BatchPrefetcher&) = delete;
  BatchPrefetcher& operator=(const BatchPrefetcher&) = delete;

  /// The number of the batch that next() returns.
  int64_t step() const { return step_; }
  /// f32 [batch_rows, width]. Throws what went wrong in the thread.
  Tensor next();

 private:
  void run() noexcept;
  Tensor make(int64_t step) const;

  const ActivationStore& store_;
  RowOrder order_;
  Options options_;
  Prepare prepare_;
  Device& host_;
  int64_t step_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Tensor> ready_;  // guarded by mutex_, as are the two below
  std::exception_ptr error_;
  bool stop_ = false;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace sae
