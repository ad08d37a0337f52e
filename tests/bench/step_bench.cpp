// How long a top-k training step takes beside the encoder's product alone, which no step can do without.
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/error.h"
#include "engine/files/npy.h"
#include "engine/parallel.h"
#include "engine/simd.h"
#include "experiments/common/model_option.h"
#include "experiments/common/options.h"
#include "models/autoencoder/trainer.h"
#include "ops/matmul/packed_matrix.h"
#include "ops/topk_encode/topk_encode.h"

namespace {

using namespace sae;

struct Shape4 {
  int64_t batch, width, latents, k;
};

/// The median of `runs` timings in milliseconds, after two that fill caches.
double median_ms(int64_t runs, const std::function<void()>& body) {
  std::vector<double> times;
  for (int64_t run = 0; run < runs + 2; ++run) {
    const auto start = std::chrono::steady_clock::now();
    body();
    const double ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
    if (run >= 2) times.push_back(ms);
  }
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

/// Rows as a trained autoencoder meets them: each the sum of 24 of its features, drawn by Zipf's law, and noise.
Tensor structured_rows(const Tensor& features, int64_t rows, uint64_t seed) {
  const int64_t width = features.cols(), latents = features.rows();
  std::vector<double> cumulative;
  double total = 0;
  for (int64_t j = 0; j < latents; ++j) cumulative.push_back(total += 1.0 / static_cast<double>(j + 20));
  const Philox random(seed, 0);
  std::vector<float> values =
      normal_tensor(features.device(), {rows, width}, Dtype::f32, Philox(seed, 1)).to_vector<float>();
  for (float& value : values) value *= 0.06f;
  uint64_t draw = 0;
  for (int64_t row = 0; row < rows; ++row) {
    for (int feature = 0; feature < 24; ++feature) {
      const double at = static_cast<double>(random.uniform(draw++)) * total;
      const int64_t rank = std::lower_bound(cumulative.begin(), cumulative.end(), at) - cumulative.begin();
      const float* direction = features.data<float>() + std::min(rank, latents - 1) * 7919 % latents * width;
      const float strength = 0.5f - std::log(1 - random.uniform(draw++));
      for (int64_t i = 0; i < width; ++i) values[static_cast<size_t>(row * width + i)] += strength * direction[i];
    }
  }
  return Tensor::from(features.device(), {rows, width}, values);
}

double gigaflops(const Shape4& s, double ms) {
  return 2.0 * static_cast<double>(s.batch * s.width * s.latents) / ms * 1e-6;
}

/// The product alone, as the library does it best: weights packed and rows rounded beforehand.
double product_ms(const Shape4& s, int64_t runs, const Tensor& x, const Tensor& encoder, Precision precision) {
  const PackedMatrix packed = PackedMatrix::pack(encoder, precision);
  const Tensor rows = x.to(packed.input_dtype());
  const double ms = median_ms(runs, [&] { packed.product(rows); });
  fmt::print("encoder product alone, {}: {:8.2f} ms, {:.0f} GFLOP/s\n", precision == Precision::f32 ? "f32 " : "bf16",
             ms, gigaflops(s, ms));
  return ms;
}

void encode_alone(int64_t runs, const Tensor& x, const Autoencoder& model, double reference_ms) {
  EncoderPanels panels;
  panels.refresh(model.encoder());
  const Tensor& encoder = model.encoder().value();
  for (const auto& [name, scoring] :
       {std::pair{"exact", Scoring::exact}, std::pair{"bf16 ", Scoring::bf16}, std::pair{"f32  ", Scoring::f32}}) {
    EncodeCounts counts;
    const auto encode_once = [&, how = scoring] {
      counts = {};
      topk_encode(x, encoder, model.encoder_bias().value(), model.options().k,
                  {.scoring = how, .panels = &panels, .counts = &counts});
    };
    const double ms = median_ms(runs, encode_once);
    fmt::print(
        "topk_encode, {}: {:8.2f} ms, {:.2f} of the bf16 product; {:.1f} scores a row again, {} of {} rows whole\n",
        name, ms, ms / reference_ms, static_cast<double>(counts.rescored) / static_cast<double>(counts.rows),
        counts.exact_rows, counts.rows);
  }
  const double ms = median_ms(runs, [&] { EncoderPanels::pack(encoder); });
  fmt::print("packing the encoder: {:8.2f} ms\n", ms);
}

int64_t bytes_of(const Trainer::State& state) {
  int64_t bytes = 0;
  for (const auto& [name, tensor] : state.tensors) bytes += tensor.bytes();
  return bytes;
}

/// Makes the first `dead` latents dead for good: they have not fired for long, and their bias keeps them from it.
void kill_latents(Trainer& trainer, int64_t dead) {
  Trainer::State state = trainer.state();
  for (auto& [name, tensor] : state.tensors) {
    if (name == "rows_since_fired") {
      std::vector<int64_t> rows = tensor.to_vector<int64_t>();
      std::fill_n(rows.begin(), dead, int64_t{2'000'000'000});
      tensor = Tensor::from(tensor.device(), tensor.shape(), rows);
    } else if (name == "encoder_bias") {
      std::vector<float> bias = tensor.to_vector<float>();
      std::fill_n(bias.begin(), dead, -1000.0f);
      tensor = Tensor::from(tensor.device(), tensor.shape(), bias);
    }
  }
  trainer.restore(state);
}

void steps(int64_t runs, const Tensor& rows, AutoencoderOptions model, int64_t dead, double reference_ms) {
  const auto device = Device::open(DeviceKind::cpu);  // one of its own, so that its peak is that of the steps
  const Tensor x = rows.to(*device);
  const TrainingOptions training{.learning_rate = 1e-4,
                                 .batch_size = x.rows(),
                                 .steps = 1000,
                                 .dead_after = 1'000'000'000,
                                 .precision = Precision::bf16};
  if (dead > 0) model.k_aux = default_k_aux(model.width, model.latents);
  Trainer trainer(Autoencoder::initialise(model, Tensor::zeros(*device, {x.cols()}, Dtype::f32), 1), training);
  if (dead > 0) kill_latents(trainer, dead);
  const double ms = median_ms(runs, [&] { trainer.step(x); });
  fmt::print("step: {:8.2f} ms, {:.2f} of the bf16 product, {:.0f} rows a second, {} latents dead\n{}\n", ms,
             ms / reference_ms, static_cast<double>(x.rows()) / ms * 1000, trainer.dead_latents(),
             trainer.profile(x).to_string());
  const auto kept = static_cast<double>(bytes_of(trainer.state()));
  const auto peak = static_cast<double>(device->memory().peak);
  fmt::print(
      "peak memory {:.1f} MB: {:.2f} of parameters, optimiser state and averages ({:.1f} MB); the batch is {:.1f} "
      "MB\n",
      peak * 1e-6, peak / kept, kept * 1e-6, static_cast<double>(x.bytes()) * 1e-6);
  CHECK(peak < 3 * kept + static_cast<double>(x.bytes()), "step_bench: the step takes more memory than it may");
}

/// What is measured, and on which rows (empty: of a known structure).
struct Choice {
  bool encoding = true, steps = true;
  int64_t dead = 0;
  std::string rows;
};

Tensor read_rows(Device& device, const std::string& path, const Shape4& s) {
  const NpyFile file(path);
  const Tensor rows = file.read(device);
  CHECK(rows.dtype() == Dtype::f32 && rows.shape() == Shape({s.batch, s.width}), "{}: {}, expected f32 [{}, {}]", path,
        rows.describe(), s.batch, s.width);
  return rows;
}

void measure(Device& device, const Shape4& s, int64_t runs, const Choice& choice) {
  fmt::print("\nbatch {} width {} latents {} k {}, {} threads\n", s.batch, s.width, s.latents, s.k, threads());
  const AutoencoderOptions options{.width = s.width, .latents = s.latents, .k = s.k};
  const Autoencoder model = Autoencoder::initialise(options, Tensor::zeros(device, {s.width}, Dtype::f32), 1);
  const Tensor x =
      choice.rows.empty() ? structured_rows(model.decoder().value(), s.batch, 2) : read_rows(device, choice.rows, s);
  if (choice.encoding) product_ms(s, runs, x, model.encoder().value(), Precision::f32);
  const double reference_ms = product_ms(s, runs, x, model.encoder().value(), Precision::bf16);
  if (choice.encoding) encode_alone(runs, x, model, reference_ms);
  if (choice.steps) steps(runs, x, options, choice.dead, reference_ms);
}

constexpr const char* description =
    "Times a top-k training step on rows of a known structure, and the encoder's product alone beside it.\n"
    "Example: step_bench --batch-size 2048 --width 768 --latents 16384 --k 32";

int bench(const Options& options) {
  apply_threads(options);
  const auto device = Device::open(parse_device_kind(options.get_text("device")));
  const int64_t runs = options.get_integer("runs", 1, 1000);
  std::vector<Shape4> shapes = {{2048, 768, 16384, 32}, {1024, 576, 4096, 32}};
  for (const char* name : {"batch-size", "width", "latents", "k"}) {
    if (!options.given(name)) continue;
    shapes = {{options.get_integer("batch-size", 1, 1 << 20), options.get_integer("width", 1, 1 << 20),
               options.get_integer("latents", 1, 1 << 24), options.get_integer("k", 1, 1 << 20)}};
  }
  const Choice choice{!options.get_flag("steps-only"), !options.get_flag("encode-only"),
                      options.get_integer("dead", 0, 1 << 24), options.get_text("rows")};
  for (const Shape4& shape : shapes) measure(*device, shape, runs, choice);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  sae::Options options("step_bench", description);
  options.text("device", "cpu", "cpu", "where the step runs")
      .integer("batch-size", 2048, "N", "rows of a step; without any of these four, two shapes are measured")
      .integer("width", 768, "N", "width of the rows")
      .integer("latents", 16384, "N", "latents of the autoencoder")
      .integer("k", 32, "N", "active latents per row")
      .integer("runs", 9, "N", "timings of which the median is printed")
      .integer("threads", 0, "N", "processor threads; 0: all")
      .integer("dead", 0, "N", "latents that are dead, so that the auxiliary loss is active")
      .text("rows", "", "FILE", "train on these: .npy, float32 [batch-size, width]; else on rows of a known structure")
      .flag("encode-only", "leave the steps out")
      .flag("steps-only", "leave the encoder alone out, but for its bf16 product");
  return sae::run_program(options, argc, argv, [&] { return bench(options); });
}
