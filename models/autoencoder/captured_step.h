#pragma once

#include <memory>
#include <vector>

#include "engine/recording.h"
#include "models/autoencoder/trainer.h"
#include "ops/dead_latents/dead_latents.h"

namespace sae {

/// A trainer's fused TopK step on simt and cuda for which nobody waits: the host starts the upload of the next rows and
/// the launches of a step, and goes on. From the second step on they are a recording (engine/recording.h), on cuda one
/// CUDA graph. Everything that changes from step to step is read from memory of the device: the rows, Adam's factors,
/// which latents are dead. No tape is recorded; the operations and their order are those of Trainer::step, and without
/// dead latents so are the bits.
///
/// The auxiliary loss has room for `dead_capacity` dead latents; where there are more, the lowest take part.
/// Never run on hardware: compiled by nvcc, tested on simt.
class CapturedStep {
 public:
  /// What of the trainer a step reads and writes.
  struct Parts {
    Autoencoder& autoencoder;
    std::vector<AdamState>& moments;       // in the order of autoencoder.parameters()
    std::vector<WeightAverage>& averages;  // the same, or none
    EncoderPanels& panels;
  };

  /// Can this trainer's steps be captured? TopK, f32, fused, on simt or cuda, without clipping, one learning rate, the
  /// decoder learned.
  static bool can_take(const Autoencoder& autoencoder, const TrainingOptions& options);

  CapturedStep(Device& device, const AutoencoderOptions& model, const TrainingOptions& training,
               const std::vector<int64_t>& rows_since_fired, int64_t dead_capacity);

  /// Steps of which nobody has read the reports; there is room for so many.
  static constexpr int64_t most_unread = 50;

  /// rows: f32 [batch_size, width] of the host, free at return. Always the same trainer's parts.
  void run(const Parts& parts, const float* rows, double learning_rate);

  /// What the steps saw whose reports nobody has read, in their order. Waits for them; throws NotFinite like
  /// Trainer::step, and then again when asked again.
  std::vector<StepReport> reports(const Autoencoder& autoencoder);
  std::vector<int64_t> rows_since_fired() const { return dead_.rows_since_fired(); }
  int64_t dead_capacity() const { return dead_.capacity(); }

 private:
  struct Words;
  struct Forward;
  Words* words() const;
  StepReport report_of(const Words& found, const Autoencoder& autoencoder) const;
  void launch(const Parts& parts);
  Forward forward(const Parts& parts);
  void add_gradients(const Parts& parts, const Forward& pass);
  void add_auxiliary_gradients(const Parts& parts, const Forward& pass);
  void update(const Parts& parts);

  Device& device_;
  AutoencoderOptions model_;
  TrainingOptions training_;
  DeadLatents dead_;
  Tensor x_;    // [batch_size, width], written in place
  Tensor one_;  // [1], the gradient of the loss
  std::shared_ptr<Buffer> words_, fresh_words_, factors_;
  std::shared_ptr<Buffer> unread_words_;  // Words [most_unread]
  int64_t unread_ = 0;
  std::unique_ptr<Upload> rows_upload_, factors_upload_;
  std::unique_ptr<Recording> recording_;
  const Parts* parts_ = nullptr;  // while run() runs
  bool has_run_ = false;
};

}  // namespace sae
