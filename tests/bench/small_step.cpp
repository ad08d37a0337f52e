// A few small training steps of fixed shape, for counting instructions (instructions.sh): small_step topk|relu|auxk
#include <cstdio>
#include <string>
#include <vector>

#include "engine/parallel.h"
#include "models/autoencoder/trainer.h"
#include "ops/input_normalisation/input_normalisation.h"

int main(int argc, char** argv) {
  using namespace sae;
  const std::string kind = argc > 1 ? argv[1] : "topk";
  if (kind != "topk" && kind != "relu" && kind != "auxk") {
    std::fprintf(stderr, "small_step: expected topk, relu or auxk, got '%s'\n", kind.c_str());
    return 2;
  }
  set_threads(1);
  const auto device = Device::open(DeviceKind::cpu);
  constexpr int64_t rows = 128, width = 96, latents = 768;
  AutoencoderOptions model{.width = width, .latents = latents, .k = 8};
  if (kind == "relu") model.activation = Activation::relu, model.penalty = 0.3;
  if (kind == "auxk") model.k_aux = 32;
  const TrainingOptions training{.learning_rate = 1e-3,
                                 .batch_size = rows,
                                 .steps = 100,
                                 .dead_after = kind == "auxk" ? rows : 1'000'000'000,
                                 .precision = Precision::bf16};
  Trainer trainer(Autoencoder::initialise(model, Tensor::zeros(*device, {width}, Dtype::f32), 1), training);
  for (uint64_t step = 0; step < 4; ++step) {
    trainer.step(normalise(normal_tensor(*device, {rows, width}, Dtype::f32, Philox(2, step)),
                           InputNormalisation::centred_unit_norm)
                     .rows);
  }
}
