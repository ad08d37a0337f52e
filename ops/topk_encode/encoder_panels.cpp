#include "ops/topk_encode/encoder_panels.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "engine/error.h"
#include "engine/parallel.h"
#include "engine/row_kernels.h"
#include "ops/topk_encode/topk_encode_cpu.h"

namespace sae {

EncoderPanels::EncoderPanels(Device& device, int64_t latents, int64_t width) : latents_(latents), width_(width) {
  if (device.kind() != DeviceKind::cpu) {
    words_ = device.allocate(static_cast<size_t>(latents * width) * sizeof(bfloat16));
    norms_ = device.allocate(static_cast<size_t>(2 * latents) * sizeof(float));
    return;
  }
  rounded_norms_.resize(static_cast<size_t>(latents));
  residual_norms_.resize(static_cast<size_t>(latents));
  if (!has_bf16_products()) return;
  const int64_t panels = (latents + panel_latents - 1) / panel_latents;
  const auto bytes = static_cast<size_t>(panels * panel_latents * pairs()) * sizeof(uint32_t);
  words_ = device.allocate(bytes);
  // The latents that fill up the last panel are never packed.
  const auto panel_bytes = static_cast<size_t>(panel_latents * pairs()) * sizeof(uint32_t);
  if (panels > 0) std::memset(static_cast<char*>(words_->data()) + bytes - panel_bytes, 0, panel_bytes);
}

int64_t EncoderPanels::bytes() const {
  const auto held = [](const std::shared_ptr<Buffer>& buffer) {
    return buffer == nullptr ? 0 : static_cast<int64_t>(buffer->bytes());
  };
  return held(words_) + held(norms_) +
         static_cast<int64_t>((rounded_norms_.size() + residual_norms_.size()) * sizeof(float));
}

const uint32_t* EncoderPanels::words() const {
  return words_ == nullptr ? nullptr : static_cast<const uint32_t*>(words_->data());
}

void EncoderPanels::pack_rows(int64_t first, int64_t count, const float* rows) {
  CHECK(first >= 0 && count >= 0 && first + count <= latents_ && first % block_latents == 0 &&
            (count % block_latents == 0 || first + count == latents_),
        "encoder panels: rows [{}, {}) of {}; expected whole blocks of {}", first, first + count, latents_,
        block_latents);
  if (norms_ != nullptr) return pack_on_device(first, count, rows);
  for (int64_t done = 0; done < count; done += block_latents) {
    const int64_t latent = first + done;
    const int64_t block = std::min(block_latents, count - done);
    float* rounded = rounded_norms_.data() + latent;
    float* residual = residual_norms_.data() + latent;
    const float* from = rows + done * width_;
    if (words_ != nullptr) {
      uint32_t* panel = static_cast<uint32_t*>(words_->data()) + latent / panel_latents * panel_latents * pairs();
      cpu::pack_block(from, block, width_, panel + latent % panel_latents, rounded, residual);
      continue;
    }
    for (int64_t row = 0; row < block; ++row) {
      rounded[row] = std::sqrt(dot(from + row * width_, from + row * width_, width_)) * norm_margin;
      residual[row] = 0;
    }
  }
}

void EncoderPanels::pack_on_device(int64_t first, int64_t count, const float* rows) {
  Device& device = norms_->device();
  auto* const elements = static_cast<bfloat16*>(words_->data()) + first * width_;
  auto* const norms = static_cast<float*>(norms_->data()) + first;
  SIMT_CALL(device.kind(), screen_matrix<bfloat16>, device.stream(), rows, count, width_, elements, norms,
            norms + latents_);
}

ScreenedMatrix<bfloat16> EncoderPanels::on_device() const {
  CHECK(norms_ != nullptr, "encoder panels: these are the cpu's");
  const auto* const norms = static_cast<const float*>(norms_->data());
  return {static_cast<const bfloat16*>(words_->data()), norms, norms + latents_};
}

void EncoderPanels::mark_current(const Parameter& encoder) {
  source_ = encoder.value().raw();
  version_ = encoder.version();
}

bool EncoderPanels::holds(const Parameter& encoder) const {
  return version_ == encoder.version() && source_ == encoder.value().raw() && latents_ == encoder.value().rows() &&
         width_ == encoder.value().cols();
}

namespace {

void pack_all(EncoderPanels& panels, const Tensor& encoder) {
  const float* rows = encoder.data<float>();
  if (encoder.device().kind() != DeviceKind::cpu) return panels.pack_rows(0, encoder.rows(), rows);
  parallel_for(encoder.rows(), EncoderPanels::panel_latents, [&](int64_t begin, int64_t end) {
    panels.pack_rows(begin, end - begin, rows + begin * encoder.cols());
  });
}

}  // namespace

void EncoderPanels::refresh(const Parameter& encoder) {
  if (holds(encoder)) return;
  const Tensor& value = encoder.value();
  if (latents_ != value.rows() || width_ != value.cols())
    *this = EncoderPanels(value.device(), value.rows(), value.cols());
  pack_all(*this, value);
  mark_current(encoder);
}

EncoderPanels EncoderPanels::pack(const Tensor& encoder) {
  EncoderPanels panels(encoder.device(), encoder.rows(), encoder.cols());
  pack_all(panels, encoder);
  return panels;
}

}  // namespace sae
