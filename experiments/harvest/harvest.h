#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "experiments/harvest/contexts.h"
#include "experiments/harvest/row_sink.h"
#include "models/language_model/language_model.h"

namespace sae {

struct HarvestOptions {
  std::vector<SitePlace> places;  ///< whose activations are stored
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

/// Runs contexts through the model, once for all places, and appends the activations at each to its sink (there is one
/// for each place, in their order), after those that are there already: row i of all sinks belongs to one token. Shows
/// progress. Stops, leaving what is complete, when the user interrupts it; sinks that are of different lengths
/// afterwards are brought to the same by the next run.
HarvestResult harvest(const LanguageModel& model, ContextSource& source, const HarvestOptions& options,
                      const std::vector<RowSink*>& sinks);

/// Blocks that are run: up to the last of the places.
int64_t blocks_needed(const HarvestOptions& options);

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
