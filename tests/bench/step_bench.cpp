// How long a top-k training step takes beside the encoder's product alone, which no step can do without.
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "engine/dense_product_cuda.h"
#include "engine/error.h"
#include "engine/files/npy.h"
#include "engine/parallel.h"
#include "engine/simd.h"
#include "experiments/common/model_option.h"
#include "experiments/common/options.h"
#include "models/autoencoder/trainer.h"
#include "ops/input_normalisation/input_normalisation.h"
#include "ops/matmul/packed_matrix.h"
#include "ops/topk_encode/topk_encode.h"

namespace {

using namespace sae;

struct Shape4 {
  int64_t batch, width, latents, k;
};

/// Runs that fill caches, before those that count.
constexpr int64_t warm_up = 3;

double ms_of(const std::function<void()>& body) {
  const auto start = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

double median(std::vector<double> times) {
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

/// The median of `runs` timings in milliseconds.
double median_ms(int64_t runs, const std::function<void()>& body) {
  for (int64_t run = 0; run < warm_up; ++run) body();
  std::vector<double> times;
  for (int64_t run = 0; run < runs; ++run) times.push_back(ms_of(body));
  return median(std::move(times));
}

/// Rows as a trained autoencoder meets them: each the sum of 24 of its features, drawn by Zipf's law, and noise, then
/// centred and of length 1.
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
  return normalise(Tensor::from(features.device(), {rows, width}, values), InputNormalisation::centred_unit_norm).rows;
}

double gigaflops(const Shape4& s, double ms) {
  return 2.0 * static_cast<double>(s.batch * s.width * s.latents) / ms * 1e-6;
}

/// The encoder's product alone, as the library does it best: weights packed and rows rounded beforehand.
class ProductAlone {
 public:
  ProductAlone(const Tensor& x, const Tensor& encoder, Precision precision)
      : packed_(PackedMatrix::pack(encoder, precision)), rows_(x.to(packed_.input_dtype())), precision_(precision) {}

  void operator()() const { packed_.product(rows_); }

  double print(const Shape4& s, double ms) const {
    fmt::print("encoder product alone, {}: {:8.2f} ms, {:.0f} GFLOP/s\n",
               precision_ == Precision::f32 ? "f32 " : "bf16", ms, gigaflops(s, ms));
    return ms;
  }

 private:
  PackedMatrix packed_;
  Tensor rows_;
  Precision precision_;
};

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

/// Steps on one batch after the other, as in training: an autoencoder that meets the same rows again and again learns
/// them by heart, its scores crowd together, and ever more rows have to be encoded whole. The product alone is timed
/// between the steps, after a run that fills the caches with what is its own, so that both meet the same machine.
void steps(int64_t runs, const Shape4& s, const std::vector<Tensor>& batches, const ProductAlone& product,
           AutoencoderOptions model, int64_t dead) {
  const auto device = Device::open(DeviceKind::cpu);  // one of its own, so that its peak is that of the steps
  const Tensor x = batches.front().to(*device);
  const TrainingOptions training{.learning_rate = 1e-4,
                                 .batch_size = x.rows(),
                                 .steps = 1000,
                                 .dead_after = 1'000'000'000,
                                 .precision = Precision::bf16};
  if (dead > 0) model.k_aux = default_k_aux(model.width, model.latents);
  Trainer trainer(Autoencoder::initialise(model, Tensor::zeros(*device, {x.cols()}, Dtype::f32), 1), training);
  if (dead > 0) kill_latents(trainer, dead);
  std::vector<double> step_times, product_times;
  int64_t whole = 0;  // rows of the last step
  for (int64_t run = 0; run < warm_up + runs; ++run) {
    product();
    const double product_time = ms_of(product);
    const Tensor batch = batches[static_cast<size_t>(run) % batches.size()].to(*device);
    const double step_time = ms_of([&] { whole = trainer.step(batch).whole_rows; });
    if (run < warm_up) continue;
    product_times.push_back(product_time);
    step_times.push_back(step_time);
  }
  const double ms = median(step_times), reference_ms = product.print(s, median(product_times));
  fmt::print(
      "step: {:8.2f} ms, {:.2f} of the bf16 product, {:.0f} rows a second, {} latents dead, {} of {} rows whole\n{}\n",
      ms, ms / reference_ms, static_cast<double>(x.rows()) / ms * 1000, trainer.dead_latents(), whole, x.rows(),
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
  Scoring scoring = Scoring::exact;
};

/// The file's rows, or structured ones, cut into batches that the steps take in turn.
std::vector<Tensor> batches_of(const Choice& choice, const Shape4& s, const Tensor& features) {
  std::vector<Tensor> batches;
  if (choice.rows.empty()) {
    for (uint64_t seed = 2; seed < 10; ++seed) batches.push_back(structured_rows(features, s.batch, seed));
    return batches;
  }
  const NpyFile file(choice.rows);
  const Tensor rows = file.read(features.device());
  CHECK(rows.dtype() == Dtype::f32 && rows.shape().rank() == 2 && rows.cols() == s.width && rows.rows() >= s.batch &&
            rows.rows() % s.batch == 0,
        "{}: {}, expected f32 [a multiple of {}, {}]", choice.rows, rows.describe(), s.batch, s.width);
  for (int64_t begin = 0; begin < rows.rows(); begin += s.batch) {
    batches.push_back(rows.slice_rows(begin, begin + s.batch));
  }
  return batches;
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Milliseconds of x E^T in bfloat16 by the device's library, in as many parts as its result needs to stay below 4 GiB.
double product_on_device_ms(Device& device, const Shape4& s, int64_t runs, const Tensor& x, const Tensor& encoder) {
  const int64_t part = std::clamp<int64_t>((int64_t{1} << 30) / s.latents, 1, s.batch);
  const Tensor rows = x.to(Dtype::bf16), weights = encoder.to(Dtype::bf16);
  Writable scores = Tensor::empty(device, {part, s.latents}, Dtype::f32);
  const auto multiply = [&] {
    for (int64_t begin = 0; begin < s.batch; begin += part) {
      const int64_t here = std::min(part, s.batch - begin);
      SIMT_CALL(device.kind(), dense_product, device, rows.data<bfloat16>() + begin * s.width, weights.data<bfloat16>(),
                scores.data<float>(), DenseProduct{here, s.width, s.latents, false, true});
    }
  };
  multiply();
  device.synchronize();
  const auto start = std::chrono::steady_clock::now();
  for (int64_t run = 0; run < runs; ++run) multiply();
  device.synchronize();
  return seconds_since(start) * 1e3 / static_cast<double>(runs);
}

/// What a step cannot avoid to move, in GB: 32 bytes for each weight, its moments and average, and 6 for the rounded
/// encoder; the rows that are gathered (decoder, about 1.3 k encoder rows to score again, twice a batch row); and, from
/// a second-level cache, the tiles of scores.
void print_bytes(const Shape4& s) {
  const auto weights = static_cast<double>(s.latents * s.width), rows = static_cast<double>(s.batch);
  fmt::print("bytes: {:.2f} GB of weights and optimiser, {:.2f} GB gathered, {:.2f} GB of scores through the cache\n",
             70 * weights * 1e-9, 4.3 * 4 * rows * static_cast<double>(s.k * s.width) * 1e-9,
             8 * rows * static_cast<double>(s.latents) * 1e-9);
}

/// Steps that run ahead, fed by the host with one batch after the other, as the training driver would.
void measure_on_device(DeviceKind kind, const Shape4& s, int64_t runs, const Choice& choice) {
  fmt::print("\nbatch {} width {} latents {} k {} on {}\n", s.batch, s.width, s.latents, s.k, name_of(kind));
  const auto host = Device::open(DeviceKind::cpu), device = Device::open(kind);
  AutoencoderOptions model{.width = s.width, .latents = s.latents, .k = s.k};
  if (choice.dead > 0) model.k_aux = default_k_aux(s.width, s.latents);
  const TrainingOptions training{.learning_rate = 1e-4,
                                 .batch_size = s.batch,
                                 .steps = 1000,
                                 .dead_after = 1'000'000'000,
                                 .precision = Precision::bf16,
                                 .scoring = choice.scoring};
  Trainer trainer(Autoencoder::initialise(model, Tensor::zeros(*device, {s.width}, Dtype::f32), 1), training);
  if (choice.dead > 0) kill_latents(trainer, choice.dead);
  std::vector<std::vector<float>> batches;
  for (const Tensor& rows : batches_of(choice, s, trainer.autoencoder().decoder().value().to(*host))) {
    batches.push_back(rows.to_vector<float>());
  }
  const double product_ms = product_on_device_ms(
      *device, s, runs, Tensor::from(*device, {s.batch, s.width}, batches[0]), trainer.autoencoder().encoder().value());
  fmt::print("encoder product alone, bf16: {:8.3f} ms, {:.1f} TFLOP/s\n", product_ms, gigaflops(s, product_ms) * 1e-3);
  size_t next = 0;
  const auto step_ahead = [&] { trainer.step_ahead(batches[next++ % batches.size()]); };
  for (int64_t warm = 0; warm < 5; ++warm) step_ahead();
  trainer.reports();
  const auto start = std::chrono::steady_clock::now();
  for (int64_t run = 0; run < runs; ++run) step_ahead();
  const StepReport report = trainer.reports().back();
  const double ms = seconds_since(start) * 1e3 / static_cast<double>(runs);
  fmt::print(
      "step: {:8.3f} ms, {:.2f} of the bf16 product, {:.0f} rows a second, {} latents dead, {} of {} rows whole\n", ms,
      ms / product_ms, static_cast<double>(s.batch) / ms * 1000, report.dead, report.whole_rows, s.batch);
  print_bytes(s);
  fmt::print("peak memory {:.1f} MB, the product's scores and the test's copies among it\n",
             static_cast<double>(device->memory().peak) * 1e-6);
}

void measure(Device& device, const Shape4& s, int64_t runs, const Choice& choice) {
  fmt::print("\nbatch {} width {} latents {} k {}, {} threads\n", s.batch, s.width, s.latents, s.k, threads());
  const AutoencoderOptions options{.width = s.width, .latents = s.latents, .k = s.k};
  const Autoencoder model = Autoencoder::initialise(options, Tensor::zeros(device, {s.width}, Dtype::f32), 1);
  const std::vector<Tensor> batches = batches_of(choice, s, model.decoder().value());
  const Tensor& x = batches.front();
  const ProductAlone product(x, model.encoder().value(), Precision::bf16);
  if (choice.encoding) {
    const ProductAlone in_float32(x, model.encoder().value(), Precision::f32);
    in_float32.print(s, median_ms(runs, in_float32));
    encode_alone(runs, x, model, product.print(s, median_ms(runs, product)));
  }
  if (choice.steps) steps(runs, s, batches, product, options, choice.dead);
}

constexpr const char* description =
    "Times a top-k training step on rows of a known structure, and the encoder's product alone beside it.\n"
    "Example: step_bench --batch-size 2048 --width 768 --latents 16384 --k 32";

/// What a GPU is measured on where no shape is given.
std::vector<Shape4> shapes_of_a_gpu() {
  std::vector<Shape4> shapes;
  for (const int64_t latents : {4096, 16384, 32768, 131072}) {
    for (const int64_t k : {32, 64}) {
      for (const int64_t batch : {1024, 8192, 131072}) shapes.push_back({batch, 768, latents, k});
    }
  }
  return shapes;
}

int bench(const Options& options) {
  apply_threads(options);
  const DeviceKind kind = parse_device_kind(options.get_text("device"));
  const int64_t runs = options.get_integer("runs", 1, 1000);
  std::vector<Shape4> shapes = {{2048, 768, 16384, 32}, {1024, 576, 4096, 32}};
  if (kind == DeviceKind::cuda) shapes = shapes_of_a_gpu();
  if (kind == DeviceKind::simt) shapes = {{64, 64, 256, 8}};
  for (const char* name : {"batch-size", "width", "latents", "k"}) {
    if (!options.given(name)) continue;
    shapes = {{options.get_integer("batch-size", 1, 1 << 20), options.get_integer("width", 1, 1 << 20),
               options.get_integer("latents", 1, 1 << 24), options.get_integer("k", 1, 1 << 20)}};
  }
  const Choice choice{.encoding = !options.get_flag("steps-only"),
                      .steps = !options.get_flag("encode-only"),
                      .dead = options.get_integer("dead", 0, 1 << 24),
                      .rows = options.get_text("rows"),
                      .scoring = options.get_flag("bf16") ? Scoring::bf16 : Scoring::exact};
  if (kind == DeviceKind::cpu) {
    const auto device = Device::open(kind);
    for (const Shape4& shape : shapes) measure(*device, shape, runs, choice);
  } else {
    for (const Shape4& shape : shapes) measure_on_device(kind, shape, runs, choice);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  sae::Options options("step_bench", description);
  options.text("device", "cpu", "cpu", "where the step runs")
      .integer("batch-size", 2048, "N", "rows of a step; without any of these four, several shapes are measured")
      .integer("width", 768, "N", "width of the rows")
      .integer("latents", 16384, "N", "latents of the autoencoder")
      .integer("k", 32, "N", "active latents per row")
      .integer("runs", 9, "N", "timings of which the median is printed")
      .integer("threads", 0, "N", "processor threads; 0: all")
      .integer("dead", 0, "N", "latents that are dead, so that the auxiliary loss is active")
      .text("rows", "", "FILE",
            "train on these: .npy, float32 [a multiple of batch-size, width]; else on rows of a known structure")
      .flag("encode-only", "leave the steps out")
      .flag("bf16", "let bfloat16 scores choose the latents (cuda and simt)")
      .flag("steps-only", "leave the encoder alone out, but for its bf16 product");
  return sae::run_program(options, argc, argv, [&] { return bench(options); });
}
