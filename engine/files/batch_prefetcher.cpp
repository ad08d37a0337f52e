#include "engine/files/batch_prefetcher.h"

#include <utility>
#include <vector>

#include "engine/error.h"
#include "engine/parallel.h"

namespace sae {

BatchPrefetcher::BatchPrefetcher(const ActivationStore& store, const RowSelection& selection, const Options& options,
                                 Prepare prepare, Device& host)
    : store_(store),
      order_(selection, options.seed, options.shuffle),
      options_(options),
      prepare_(std::move(prepare)),
      host_(host),
      step_(options.first_step) {
  CHECK(options.batch_rows > 0 && options.ahead > 0 && options.first_step >= 0,
        "batches: expected at least 1 row, 1 batch ahead and step 0, got {}, {} and {}", options.batch_rows,
        options.ahead, options.first_step);
  CHECK(host.kind() == DeviceKind::cpu, "batches: they are made on the host, not in memory of the device {}",
        name_of(host.kind()));
  thread_ = std::thread([this] { run(); });
}

BatchPrefetcher::~BatchPrefetcher() {
  {
    const std::scoped_lock lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

Tensor BatchPrefetcher::next() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return !ready_.empty() || error_; });
  if (ready_.empty()) std::rethrow_exception(error_);
  Tensor batch = std::move(ready_.front());
  ready_.pop_front();
  ++step_;
  lock.unlock();
  changed_.notify_all();
  return batch;
}

Tensor BatchPrefetcher::make(int64_t step) const {
  const std::vector<int64_t> rows = order_.rows(step * options_.batch_rows, options_.batch_rows);
  Writable batch = Tensor::empty(host_, {options_.batch_rows, store_.width()}, Dtype::f32);
  store_.gather(rows, batch.data<float>());
  if (prepare_) prepare_(batch.data<float>(), options_.batch_rows, store_.width());
  return std::move(batch).freeze();
}

void BatchPrefetcher::run() noexcept {
  set_threads(1);  // of this thread alone: a parallel loop in `prepare` must not take the cores from training
  try {
    for (int64_t step = options_.first_step;; ++step) {
      Tensor batch = make(step);
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return stop_ || static_cast<int64_t>(ready_.size()) < options_.ahead; });
      if (stop_) return;
      ready_.push_back(std::move(batch));
      lock.unlock();
      changed_.notify_all();
    }
  } catch (...) {
    const std::scoped_lock lock(mutex_);
    error_ = std::current_exception();
  }
  changed_.notify_all();
}

}  // namespace sae
