// How often the fused encoder chooses other latents than float64 would, on stored activations; how many scores it
// computes a second time, and how many rows it has to compute whole.
#include <fmt/core.h>

#include <algorithm>
#include <vector>

#include "experiments/common/activation_data.h"
#include "experiments/common/model_option.h"
#include "experiments/common/options.h"
#include "models/autoencoder/autoencoder_file.h"
#include "ops/subtract_row/subtract_row.h"
#include "ops/topk_encode/topk_encode.h"

namespace {

using namespace sae;

RowSparse encode_rows(const Autoencoder& model, const Tensor& x, Dtype dtype, const EncodeOptions& how) {
  const Variable centred = subtract_row(x.to(dtype), model.pre_bias().value().to(dtype));
  return std::get<RowSparse>(topk_encode(centred, model.encoder().value().to(dtype),
                                         model.encoder_bias().value().to(dtype), model.options().k, how)
                                 .value);
}

/// Latents of a that b did not choose; both ascend within a row.
int64_t wrong_slots(const RowSparse& a, const RowSparse& b, int64_t& rows) {
  const int64_t k = a.columns.k();
  int64_t wrong = 0;
  for (int64_t row = 0; row < a.columns.rows(); ++row) {
    const int32_t* left = a.columns.index().data<int32_t>() + row * k;
    const int32_t* right = b.columns.index().data<int32_t>() + row * k;
    std::vector<int32_t> lost;
    std::set_difference(left, left + k, right, right + k, std::back_inserter(lost));
    wrong += static_cast<int64_t>(lost.size());
    rows += lost.empty() ? 0 : 1;
  }
  return wrong;
}

constexpr const char* description =
    "Compares the latents that topk_encode chooses with those of a float64 encoder, row by row.\n"
    "Example: topk_check --sae runs/topk32/autoencoder.safetensors --data runs/default/activations --rows 10000";

int check_saved(const Options& options) {
  apply_threads(options);
  const auto device = Device::open(DeviceKind::cpu);
  const ActivationData data(options.get_text("data"), data_options(options), *device);
  const LoadedAutoencoder loaded = load_autoencoder(options.get_text("sae"), *device);
  const Autoencoder& model = loaded.autoencoder;
  const int64_t rows = std::min(options.get_integer("rows", 1, int64_t{1} << 40), data.test.rows());
  fmt::print("{} test rows, width {}, {} latents, k {}\n", rows, model.options().width, model.options().latents,
             model.options().k);
  const EncoderPanels panels = EncoderPanels::pack(model.encoder().value());
  for (const Scoring scoring : {Scoring::exact, Scoring::bf16, Scoring::f32}) {
    EncodeCounts counts;
    int64_t wrong = 0, wrong_rows = 0;
    constexpr int64_t batch = 1000;
    for (int64_t begin = 0; begin < rows; begin += batch) {
      const Tensor x = data.test.range(begin, std::min(rows, begin + batch));
      const RowSparse chosen = encode_rows(model, x, Dtype::f32, {scoring, &panels, &counts});
      wrong += wrong_slots(chosen, encode_rows(model, x, Dtype::f64, {}), wrong_rows);
    }
    fmt::print("{:<5} {} of {} slots differ from float64's, in {} rows; {:.1f} scores a row again, {} rows whole\n",
               name_of(scoring), wrong, rows * model.options().k, wrong_rows, counts.rescored_per_row(),
               counts.exact_rows);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  sae::Options options("topk_check", description);
  options.text("sae", "FILE", "a topk autoencoder, as train saves it")
      .text("data", "FOLDER", "activations, as harvest stores them")
      .integer("rows", 10000, "N", "rows of the test split")
      .integer("threads", 0, "N", "processor threads; 0: all");
  sae::declare_data_options(options);
  return sae::run_program(options, argc, argv, [&] { return check_saved(options); });
}
