#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/parameter.h"
#include "ops/topk_encode/topk_encode_cuda.h"

namespace sae {

/// The encoder E [latents, width] as the screening product of topk_encode reads it: rounded to bfloat16 and laid out in
/// panels of 64 latents, with the norms from which the error of a screened score is bounded. Beside the parameter it
/// takes half its memory. On a processor without bfloat16 products only the norms are kept. On simt and cuda the
/// rounded matrix is row-major, as the library multiplies it, and all is in memory of the device.
///
/// Two ways to keep it up to date:
///  * refresh(encoder) packs everything, unless it holds this version of this parameter already;
///  * who rewrites the parameter row by row packs the rows while they are in cache, and no pass is added. Inside
///    encoder.update<float>(...), from any number of threads:
///        panels.pack_rows(first, count, elements + first * width);   // each row once; first a multiple of 16
///    and after it, once:
///        panels.mark_current(encoder);
class EncoderPanels {
 public:
  static constexpr int64_t panel_latents = 64;
  static constexpr int64_t block_latents = 16;

  EncoderPanels() = default;
  EncoderPanels(Device& device, int64_t latents, int64_t width);
  EncoderPanels(EncoderPanels&&) = default;
  EncoderPanels& operator=(EncoderPanels&&) = default;

  int64_t latents() const { return latents_; }
  int64_t width() const { return width_; }
  int64_t bytes() const;

  /// Packs rows [first, first + count) from `rows`, f32 [count, width]. `first` is a multiple of 16, and so is `count`
  /// unless the rows are the last ones. Calls on different rows may run at the same time.
  void pack_rows(int64_t first, int64_t count, const float* rows);
  /// Says that every row of the parameter's present version was packed.
  void mark_current(const Parameter& encoder);

  /// Do the panels hold the parameter's present version?
  bool holds(const Parameter& encoder) const;
  /// Packs all rows in parallel unless holds(encoder); takes the parameter's shape where it had another.
  void refresh(const Parameter& encoder);
  /// The panels of a matrix, f32 [latents, width].
  static EncoderPanels pack(const Tensor& encoder);

  /// bfloat16 pairs as [panels][pairs][64 latents], each word holding columns 2p (low half) and 2p + 1 of its latent;
  /// zeros beyond the last latent and an odd width. Null on a processor without bfloat16 products.
  const uint32_t* words() const;
  int64_t pairs() const { return (width_ + 1) / 2; }
  /// For each latent, upper bounds of the length of its rounded row and of what the rounding took away.
  const std::vector<float>& rounded_norms() const { return rounded_norms_; }
  const std::vector<float>& residual_norms() const { return residual_norms_; }
  /// On simt and cuda, in place of these three. Throws on the cpu.
  ScreenedMatrix<bfloat16> on_device() const;

 private:
  void pack_on_device(int64_t first, int64_t count, const float* rows);

  int64_t latents_ = 0;
  int64_t width_ = 0;
  std::shared_ptr<Buffer> words_;
  std::vector<float> rounded_norms_, residual_norms_;  // on the cpu
  std::shared_ptr<Buffer> norms_;                      // both, on other devices
  const void* source_ = nullptr;                       // the parameter's memory
  int64_t version_ = -1;
};

}  // namespace sae
