#pragma once

#include <functional>
#include <string>

#include "experiments/downstream/downstream_results.h"
#include "experiments/harvest/contexts.h"

namespace sae {

struct MeasurementOptions {
  ReplacementPlan plan;
  int64_t contexts = 0;        ///< of the text, from its beginning; 0: all
  int64_t batch_contexts = 4;  ///< in one pass of one thread; logits of two batches are kept for each
  std::string sums_file;       ///< where the sums so far are kept, so that an interrupted run goes on
  std::string identity;        ///< of everything that decides the result: sums of another are refused
};

/// Runs the text through the lower part of the model, a batch in each thread, and hands the contexts on in order, with
/// progress under that label. Throws when the user interrupts it.
void run_lower_parts(const LanguageModel& model, ContextSource& text, const MeasurementOptions& options,
                     const std::string& label, const std::function<void(LowerPart)>& take);

/// Runs the text through the lower part once, keeping its activations, and through the upper part once for each
/// substitute, with progress. Throws when the user interrupts it; what is done is in the file by then.
DownstreamResults measure(const LanguageModel& model, ContextSource& text, const MeasurementOptions& options,
                          const std::vector<Substitute>& substitutes);

}  // namespace sae
