// Does an autoencoder find the features that are there? Data whose dictionary is known.
#include <fmt/format.h>

#include <optional>

#include "engine/error.h"
#include "experiments/common/device_option.h"
#include "experiments/common/model_option.h"
#include "experiments/common/training_options.h"
#include "experiments/toy_features/toy_runs.h"

namespace {

using namespace sae;

constexpr const char* description =
    "Trains autoencoders on synthetic rows that are sparse sums of known directions, more directions than dimensions,\n"
    "and says how many of them the decoders hold: the mean cosine of each direction with a latent of its own.\n"
    "Writes into --output: recovery.csv, recovery.svg/.png/.gp, options.txt.\n"
    "Example: toy_features --output runs/toy --activations topk,relu,jumprelu";

void declare(Options& options) {
  options.group("Data")
      .text("output", "FOLDER", "where the results go")
      .flag("overwrite", "replace the results in --output")
      .integer("width", 64, "N", "dimensions")
      .integer("features", 128, "N", "directions")
      .number("active", 4, "MEAN", "mean number of active directions in a row")
      .number("frequency-ratio", 10, "RATIO", "how many times as often the most frequent one is active as the rarest")
      .group("Sweep")
      .text("activations", "relu,prolu,prolu-ste,gated,jumprelu,topk,batch-topk,matryoshka", "A,B", "which to train")
      .text("k", "2,4,8", "K,K", "active latents, where the activation chooses k")
      .text("penalties", "0.01,0.03,0.1,0.3", "WEIGHT,WEIGHT", "penalties; a tenth of them for jumprelu's L0")
      .text("latents", "128,64,256", "N,N", "latents of the autoencoders; the figure over L0 is of the first")
      .text("lr", "3e-3,1e-2", "RATE,RATE",
            "learning rates; of each autoencoder the one with the lowest error is kept");
  declare_training_options(options, {.latents = 0});
}

std::vector<Activation> activations_of(const Options& options) {
  std::vector<Activation> activations;
  for (const std::string& name : split_at_commas(options.get_text("activations"))) {
    activations.push_back(parse_activation(name));
    CHECK(activations.back() != Activation::sigmoid, "--activations: the latents of sigmoid are never 0, it has no L0");
  }
  return activations;
}

/// Of each `rates` runs the one with the lowest error, if any did not diverge; printed as a table.
std::vector<Recovery> best_of_each(const std::vector<std::optional<Recovery>>& runs, size_t rates) {
  fmt::print("{:<11} {:>7} {:>4} {:>8} {:>7} {:>7} {:>7} {:>6} {:>7} {:>7}\n", "activation", "latents", "k", "penalty",
             "rate", "L0", "NMSE", "dead", "cosine", "found");
  std::vector<Recovery> rows;
  for (size_t first = 0; first < runs.size(); first += rates) {
    std::optional<Recovery> best;
    for (size_t i = first; i < first + rates; ++i) {
      if (runs[i] && (!best || runs[i]->normalised_mse < best->normalised_mse)) best = runs[i];
    }
    if (!best) continue;
    fmt::print("{:<11} {:>7} {:>4} {:>8.4g} {:>7.2g} {:>7.2f} {:>7.4f} {:>6.3f} {:>7.4f} {:>7.4f}\n", best->activation,
               best->latents, best->k, best->penalty, best->learning_rate, best->l0, best->normalised_mse,
               best->dead_fraction, best->match.mean_cosine, best->match.found);
    rows.push_back(*best);
  }
  return rows;
}

int run(const Options& options) {
  apply_threads(options);
  const auto device = open_device(options);
  const auto host = Device::open(DeviceKind::cpu);
  const std::string folder = options.get_text("output");
  const ToyData data(*host, {.width = options.get_integer("width", 1, 1 << 20),
                             .features = options.get_integer("features", 1, 1 << 14),
                             .active = options.get_number("active", 1e-9, 1e9),
                             .frequency_ratio = options.get_number("frequency-ratio", 1, 1e9),
                             .seed = static_cast<uint64_t>(options.get_integer("seed", 0, int64_t{1} << 62))});
  const int64_t tokens = options.given("tokens") ? options.get_integer("tokens", 1, int64_t{1} << 50) : 2'000'000;
  const std::vector<Activation> activations = activations_of(options);
  prepare_output(folder, false, options.get_flag("overwrite"));
  options.write_effective(folder + "/options.txt");
  std::vector<ToyPlan> plans;  // those that differ in their learning rate alone one after the other
  const std::vector<double> rates = options.get_numbers("lr");
  for (const double latents : options.get_numbers("latents")) {
    for (const Activation activation : activations) {
      const bool chooses_k = facts_of(activation).chooses_k;
      for (const double strength : options.get_numbers(chooses_k ? "k" : "penalties")) {
        ToyPlan plan;
        plan.model =
            model_options(options, data.options().width, static_cast<int64_t>(latents), activation, data.variance());
        if (chooses_k) plan.model.k = static_cast<int64_t>(strength);
        if (!chooses_k) plan.model.penalty = activation == Activation::jump_relu ? strength / 10 : strength;
        check(plan.model);
        plan.training = training_options(options, plan.model, tokens, data.variance());
        plan.resamples = options.get_integer("resamples", 0, 1000);
        for (const double rate : rates) {
          plan.training.learning_rate = rate;
          plans.push_back(plan);
        }
      }
    }
  }
  const std::vector<Recovery> rows = best_of_each(train_all(data, plans, *device), rates.size());
  CHECK(!rows.empty(), "no run gave a result");
  write_recoveries(folder, rows, data.options());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  sae::Options options("toy_features", description);
  declare(options);
  return sae::run_program(options, argc, argv, [&] { return run(options); });
}
