#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "experiments/harvest/contexts.h"
#include "experiments/harvest/row_sink.h"
#include "models/language_model/language_model.h"

namespace sae {

struct HarvestOptions {
  SitePlace place;
  int64_t context_length = 64;
  int64_t batch_contexts = 8;  ///< in one forward pass of one thread
  int64_t first_context = 0;   ///< of the source; those before it are left out
  int64_t contexts = 0;        ///< how many to store in all; 0: all there are
};

struct HarvestResult {
  int64_t contexts = 0;      ///< in the output now, earlier runs' included
  int64_t tokens_made = 0;   ///< by this run
  double seconds = 0;        ///< of this run
  double model_seconds = 0;  ///< of them, in the model
  bool interrupted = false;
  bool source_ended = false;  ///< before `contexts` were there
};

/// Runs contexts through the model and appends the activations to the sink, after those that are there already. Shows
/// progress. Stops, leaving what is complete, when the user interrupts it.
HarvestResult harvest(const LanguageModel& model, ContextSource& source, const HarvestOptions& options, RowSink& sink);

/// Floating-point operations of one token's products with the weights of the blocks that are run.
double product_flops(const LanguageModel& model, const HarvestOptions& options);

/// Operations a second of the model's largest product alone, of a batch's size on every thread: the speed that the
/// whole forward pass could reach if it were nothing but products. The best of several runs.
double product_peak(const LanguageModel& model, const HarvestOptions& options, Precision precision);

/// Mean loss of the tokens that follow, in nats, over a number of contexts.
struct LossReport {
  struct Mean {
    double sum = 0;
    int64_t tokens = 0;
    double value() const { return tokens > 0 ? sum / static_cast<double>(tokens) : 0; }
  };
  Mean all;
  std::map<std::string, Mean> by_source;  ///< of the document that the predicted token is in
  /// Takes in the losses of a batch: of each position, what the model lost on the token that follows.
  void add(const ContextBatch& batch, const std::vector<float>& losses, const ContextSource& source, int64_t length);
  std::string to_string() const;
};

/// Runs all blocks and the output layer over the next `contexts` contexts of the source.
LossReport report_loss(const LanguageModel& model, ContextSource& source, const HarvestOptions& options,
                       int64_t contexts);

}  // namespace sae
