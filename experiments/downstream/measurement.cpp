#include "experiments/downstream/measurement.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <limits>

#include "engine/error.h"
#include "engine/parallel.h"
#include "experiments/common/interrupt.h"
#include "experiments/common/progress.h"

namespace sae {

void run_lower_parts(const LanguageModel& model, ContextSource& text, const MeasurementOptions& options,
                     const std::string& label, const std::function<void(LowerPart)>& take) {
  int64_t left = options.contexts > 0 ? options.contexts : std::numeric_limits<int64_t>::max();
  int64_t tokens = 0;
  Progress progress(label, options.contexts * options.plan.context_length, "tokens");
  while (left > 0) {
    std::vector<ContextBatch> batches;
    for (int thread = 0; thread < threads() && left > 0; ++thread) {
      ContextBatch batch = text.next(std::min(options.batch_contexts, left));
      if (batch.ids.empty()) break;
      left -= batch.contexts(options.plan.context_length);
      tokens += static_cast<int64_t>(batch.ids.size());
      batches.push_back(std::move(batch));
    }
    if (batches.empty()) break;
    std::vector<LowerPart> parts(batches.size());
    model.for_batches(static_cast<int64_t>(batches.size()), [&](int64_t i) {
      const auto at = static_cast<size_t>(i);
      parts[at] = run_lower_part(model, batches[at].ids, options.plan);
    });
    for (LowerPart& part : parts) take(std::move(part));
    progress.update(tokens);
    CHECK(!interrupted(), "interrupted; run again with --resume to go on");
  }
}

namespace {

/// The sums of each substitute over the contexts so far, in a file.
class Sums {
 public:
  Sums(const MeasurementOptions& options, const std::vector<Substitute>& substitutes)
      : options_(options), losses_(substitutes.size()) {
    if (!std::filesystem::exists(options.sums_file)) return;
    const Json json = Json::read(options.sums_file);
    CHECK(json.at("identity").text() == options.identity,
          "{}: is of another text, model or set of autoencoders; give another --output, or --overwrite",
          options.sums_file);
    const Json list = json.at("losses");
    CHECK(list.size() == static_cast<int64_t>(losses_.size()), "{}: holds {} rows, expected {}", options.sums_file,
          list.size(), losses_.size());
    for (int64_t i = 0; i < list.size(); ++i) losses_[static_cast<size_t>(i)] = read_replaced_loss(list.at(i));
  }

  int64_t contexts() const { return losses_[0].contexts; }
  const std::vector<ReplacedLoss>& losses() const { return losses_; }

  void add(const std::vector<std::vector<ReplacedLoss>>& by_substitute) {
    for (size_t i = 0; i < losses_.size(); ++i) {
      for (const ReplacedLoss& context : by_substitute[i]) losses_[i].add(context);
    }
  }
  void write() const {
    Json list = Json::array();
    for (const ReplacedLoss& loss : losses_) list.push(to_json(loss));
    Json json = Json::object();
    json.set("identity", options_.identity).set("losses", list);
    json.write(options_.sums_file, IfExists::replace);
  }

 private:
  const MeasurementOptions& options_;
  std::vector<ReplacedLoss> losses_;
};

DownstreamResults results_of(const std::vector<Substitute>& substitutes, const Sums& sums) {
  DownstreamResults results;
  for (size_t i = 0; i < substitutes.size(); ++i) results.rows.push_back({substitutes[i], sums.losses()[i]});
  return results;
}

}  // namespace

DownstreamResults measure(const LanguageModel& model, ContextSource& text, const MeasurementOptions& options,
                          const std::vector<Substitute>& substitutes) {
  CHECK(options.plan.skip_positions + 1 < options.plan.context_length,
        "downstream: in contexts of {}, nothing is predicted from position {} on", options.plan.context_length,
        options.plan.skip_positions);
  Sums sums(options, substitutes);
  if (options.contexts > 0 && sums.contexts() == options.contexts) return results_of(substitutes, sums);
  std::vector<LowerPart> parts;
  run_lower_parts(model, text, options, "lower part", [&](LowerPart part) { parts.push_back(std::move(part)); });
  const ActivationMeans means = activation_means(parts, options.plan, substitutes);

  const auto contexts_of = [&](const LowerPart& part) {
    return static_cast<int64_t>(part.ids.size()) / options.plan.context_length;
  };
  int64_t contexts = 0;
  size_t done = 0;  // parts that an earlier run has in its sums: batches are the same whatever the number of threads
  for (const LowerPart& part : parts) {
    contexts += contexts_of(part);
    if (contexts <= sums.contexts()) ++done;
  }
  const int64_t cost = options.plan.context_length * static_cast<int64_t>(substitutes.size());
  Progress progress("upper part", contexts * cost, "tokens", sums.contexts() * cost);
  while (done < parts.size()) {
    const size_t count = std::min(parts.size() - done, static_cast<size_t>(threads()));
    std::vector<std::vector<std::vector<ReplacedLoss>>> losses(count);
    model.for_batches(static_cast<int64_t>(count), [&](int64_t i) {
      const auto one = static_cast<size_t>(i);
      losses[one] = replaced_losses(model, parts[done + one], options.plan, means, substitutes);
    });
    for (const auto& of_batch : losses) sums.add(of_batch);
    done += count;
    sums.write();
    progress.update(sums.contexts() * cost);
    CHECK(!interrupted(), "interrupted after {} of {} contexts; run again with --resume to go on", sums.contexts(),
          contexts);
  }
  progress.finish();
  return results_of(substitutes, sums);
}

}  // namespace sae
