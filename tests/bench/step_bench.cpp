// How long a training step takes, beside the encoder's product alone: step_bench [batch] [width] [latents] [k]
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <vector>

#include "engine/parallel.h"
#include "engine/simd.h"
#include "models/autoencoder/input_normalisation.h"
#include "models/autoencoder/trainer.h"

namespace {

using namespace sae;

double median_ms(int runs, const std::function<void()>& body) {
  std::vector<double> times;
  for (int run = 0; run < runs + 2; ++run) {
    const auto start = std::chrono::steady_clock::now();
    body();
    const double ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
    if (run >= 2) times.push_back(ms);  // the first two fill caches
  }
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

void print_profile(Trainer& trainer, const Tensor& x) { fmt::print("{}\n", trainer.profile(x).to_string()); }

}  // namespace

int main(int argc, char** argv) {
  const auto argument = [&](int i, int64_t preset) { return argc > i ? std::atoll(argv[i]) : preset; };
  const int64_t batch = argument(1, 1024), width = argument(2, 576), latents = argument(3, 4096), k = argument(4, 32);
  const auto device = Device::open(DeviceKind::cpu);
  const Tensor x = normalise(normal_tensor(*device, {batch, width}, Dtype::f32, Philox(1, 0))).rows;
  const Tensor w = normal_tensor(*device, {latents, width}, Dtype::f32, Philox(2, 0));
  fmt::print("batch {} width {} latents {} k {}, {} threads\n", batch, width, latents, k, threads());
  const double flop = 2.0 * static_cast<double>(batch * width * latents);
  for (const Precision precision : {Precision::f32, Precision::bf16}) {
    const double ms = median_ms(9, [&] { dense_product(x, false, w, true, precision); });
    fmt::print("encoder product {}: {:.2f} ms, {:.0f} GFLOP/s\n", precision == Precision::f32 ? "f32" : "bf16", ms,
               flop / ms * 1e-6);
  }
  const TrainingOptions training{.learning_rate = 1e-4,
                                 .batch_size = batch,
                                 .steps = 1000,
                                 .dead_after = 1'000'000'000,
                                 .precision = Precision::bf16};
  for (const Activation activation : {Activation::topk, Activation::relu}) {
    const AutoencoderOptions model{.width = width, .latents = latents, .activation = activation, .k = k, .l1 = 0.1};
    Trainer trainer(Autoencoder::initialise(model, Tensor::zeros(*device, {width}, Dtype::f32), 1), training);
    fmt::print("\n{}: {:.2f} ms a step\n", name_of(activation), median_ms(15, [&] { trainer.step(x); }));
    print_profile(trainer, x);
  }
}
