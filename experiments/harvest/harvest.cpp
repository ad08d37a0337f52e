#include "experiments/harvest/harvest.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <limits>

#include "engine/error.h"
#include "engine/parallel.h"
#include "engine/philox.h"
#include "experiments/common/interrupt.h"
#include "experiments/common/progress.h"

namespace sae {
namespace {

class Stopwatch {
 public:
  double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// Leaves out the next contexts of the source.
void skip(ContextSource& source, int64_t contexts) {
  constexpr int64_t at_once = 4096;
  while (contexts > 0) {
    const int64_t wanted = std::min(contexts, at_once);
    if (source.next(wanted).ids.empty()) return;
    contexts -= wanted;
  }
}

/// Appends a batch whose first context is the output's `first_context`, but for those contexts that the sink has.
void append(const Tensor& activations, const ContextBatch& batch, int64_t length, int64_t first_context,
            RowSink& sink) {
  std::vector<uint16_t> positions;
  for (size_t i = 0; i < batch.ids.size(); ++i) {
    positions.push_back(static_cast<uint16_t>(static_cast<int64_t>(i) % length));
  }
  const std::vector<float> rows = activations.to_vector<float>();
  const int64_t width = activations.cols();
  const auto count = static_cast<size_t>(length);
  // context by context, so that a shard ends with one
  for (size_t at = 0; at < batch.ids.size(); at += static_cast<size_t>(length)) {
    if (first_context * length + static_cast<int64_t>(at) < sink.rows()) continue;
    sink.append(std::span(rows).subspan(at * static_cast<size_t>(width), count * static_cast<size_t>(width)),
                std::span(batch.ids).subspan(at, count), std::span(positions).subspan(at, count),
                std::span(batch.documents).subspan(at, count));
  }
}

/// The next batches, one for each thread, together at most `contexts` contexts: a batch is one thread's work from its
/// first block to its last. So threads meet once in half a second and not after every product, which matters where
/// other programs want the cores too; and each has its own rows in its cache.
std::vector<ContextBatch> next_batches(ContextSource& source, const HarvestOptions& options, int64_t contexts) {
  std::vector<ContextBatch> batches;
  for (int thread = 0; thread < threads() && contexts > 0; ++thread) {
    ContextBatch batch = source.next(std::min(options.batch_contexts, contexts));
    if (batch.ids.empty()) break;
    contexts -= batch.contexts(options.context_length);
    batches.push_back(std::move(batch));
  }
  return batches;
}

/// What work gives for each batch.
template <class Work>
auto run_batches(const LanguageModel& model, const std::vector<ContextBatch>& batches, Work&& work) {
  std::vector<decltype(work(batches[0]))> results(batches.size());
  model.for_batches(static_cast<int64_t>(batches.size()),
                    [&](int64_t i) { results[static_cast<size_t>(i)] = work(batches[static_cast<size_t>(i)]); });
  return results;
}

}  // namespace

HarvestResult harvest(const LanguageModel& model, ContextSource& source, const HarvestOptions& options,
                      const std::vector<RowSink*>& sinks) {
  const int64_t length = options.context_length;
  CHECK(!sinks.empty() && sinks.size() == options.places.size(), "harvest: {} outputs for {} places", sinks.size(),
        options.places.size());
  CHECK(length > 0 && length <= 65536, "harvest: positions are stored in 16 bits; contexts of {} do not fit", length);
  HarvestResult result;
  result.contexts = std::numeric_limits<int64_t>::max();
  for (const RowSink* sink : sinks) result.contexts = std::min(result.contexts, sink->rows() / length);
  int64_t wanted = options.contexts > 0 ? options.contexts : std::numeric_limits<int64_t>::max() / length;
  if (source.total() >= 0) wanted = std::min(wanted, source.total() - options.first_context);
  if (result.contexts >= wanted) return result;
  skip(source, options.first_context + result.contexts);

  const bool known = options.contexts > 0 || source.total() >= 0;
  Progress progress("harvest", known ? wanted * length : 0, "tokens", result.contexts * length);
  const Stopwatch all;
  while (result.contexts < wanted && !result.interrupted) {
    const std::vector<ContextBatch> batches = next_batches(source, options, wanted - result.contexts);
    if (batches.empty()) {
      result.source_ended = true;
      break;
    }
    const Stopwatch model_time;
    const auto activations = run_batches(model, batches, [&](const ContextBatch& batch) {
      return model.activations(model.tokens(batch.ids), length, options.places);
    });
    result.model_seconds += model_time.seconds();
    for (size_t i = 0; i < batches.size(); ++i) {
      for (size_t place = 0; place < sinks.size(); ++place) {
        append(activations[i][place], batches[i], length, result.contexts, *sinks[place]);
      }
      result.contexts += batches[i].contexts(length);
      result.tokens_made += static_cast<int64_t>(batches[i].ids.size());
    }
    progress.update(result.contexts * length);
    result.interrupted = interrupted();
  }
  result.seconds = all.seconds();
  progress.finish(result.interrupted ? "interrupted" : "");
  return result;
}

int64_t blocks_needed(const HarvestOptions& options) {
  int64_t blocks = 0;
  for (const SitePlace& place : options.places) blocks = std::max(blocks, place.layer + 1);
  return blocks;
}

double product_flops(const LanguageModel& model, const HarvestOptions& options) {
  return 2.0 * static_cast<double>(model.sizes().block_parameters) * static_cast<double>(blocks_needed(options));
}

double product_peak(const LanguageModel& model, const HarvestOptions& options, Precision precision) {
  Device& device = model.device();
  const int64_t rows = options.batch_contexts * options.context_length, width = model.sizes().width;
  const Shape shape = {2 * model.sizes().feed_forward, width};
  const PackedMatrix weights = PackedMatrix::pack(normal_tensor(device, shape, Dtype::f32, Philox(0, 0)), precision);
  const Tensor x = normal_tensor(device, {rows, width}, Dtype::f32, Philox(0, 1)).to(weights.input_dtype());
  double best = std::numeric_limits<double>::infinity();
  const Stopwatch all;
  for (int run = 0; run < 5 || (all.seconds() < 0.5 && run < 1000); ++run) {
    const Stopwatch one;
    model.for_batches(threads(), [&](int64_t) { weights.product(x); });  // as harvest() deals out its batches
    device.synchronize();
    best = std::min(best, one.seconds());
  }
  return 2.0 * threads() * static_cast<double>(rows) * static_cast<double>(shape.elements()) / best;
}

void LossReport::add(const ContextBatch& batch, const std::vector<float>& losses, const ContextSource& source,
                     int64_t length) {
  for (size_t i = 0; i + 1 < losses.size(); ++i) {
    if (static_cast<int64_t>(i + 1) % length == 0) continue;  // the last of a context predicts nothing
    Mean& mean = by_source[source.source_of(batch.documents[i + 1])];
    for (Mean* one : {&mean, &all}) {
      one->sum += static_cast<double>(losses[i]);
      ++one->tokens;
    }
  }
}

LossReport report_loss(const LanguageModel& model, ContextSource& source, const HarvestOptions& options,
                       int64_t contexts) {
  const int64_t length = options.context_length;
  LossReport report;
  Progress progress("loss", contexts * length, "tokens");
  for (int64_t done = 0; done < contexts && !interrupted();) {
    const std::vector<ContextBatch> batches = next_batches(source, options, contexts - done);
    if (batches.empty()) break;
    const auto losses = run_batches(model, batches, [&](const ContextBatch& batch) {
      const Tensor residual = model.run_blocks(model.embed(model.tokens(batch.ids)), length, 0, model.sizes().layers);
      return model.next_token_loss(residual, batch.ids, length).to_vector<float>();
    });
    for (size_t i = 0; i < batches.size(); ++i) {
      report.add(batches[i], losses[i], source, length);
      done += batches[i].contexts(length);
    }
    progress.update(done * length);
  }
  return report;
}

std::string LossReport::to_string() const {
  std::string text = fmt::format("{:<32} {:>8}  {:>9}\n", "mean next-token loss", "nats", "tokens");
  for (const auto& [source, mean] : by_source) {
    text += fmt::format("  {:<30} {:>8.4f}  {:>9}\n", source, mean.value(), mean.tokens);
  }
  return text + fmt::format("  {:<30} {:>8.4f}  {:>9}\n", "all", all.value(), all.tokens);
}

}  // namespace sae
