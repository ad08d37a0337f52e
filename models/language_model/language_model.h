#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/parallel.h"
#include "models/language_model/shared_texts.h"
#include "models/language_model/tokenizer.h"
#include "models/language_model/transformer.h"

namespace sae {

/// A place in a model at which activations are read.
struct SitePlace {
  int64_t layer = 0;  ///< block, counted from 0
  Site site = Site::resid_post;
};

/// Activations at a place are replaced by a function of them while the model runs.
struct Intervention {
  SitePlace place;
  Replacement replace;
};

/// A frozen language model with its tokenizer. The residual stream between blocks is always f32; `precision` is that of
/// the products with the weights.
class LanguageModel {
 public:
  /// A GGUF file, or a folder as Hugging Face lays it out (see ModelFile). Throws with file and reason on one that is
  /// damaged, of an architecture, quantisation or tokenizer that is not supported, or whose parts do not fit together.
  static LanguageModel load(const std::string& path, Device& device, Precision precision);

  /// "SmolLM2-135M-Instruct.Q4_1" : the file's name without folder and .gguf, or the folder's.
  const std::string& name() const { return name_; }
  /// "SmolLM2-135M-Instruct, Q4_1 dequantised": what plots and stores call it. The quantisation is that of most
  /// weights.
  const std::string& title() const { return title_; }
  Device& device() const { return *device_; }
  const ModelSizes& sizes() const { return transformer_->sizes(); }
  /// Columns of the activations at a site.
  int64_t width_of(Site site) const { return transformer_->width_of(site); }
  Tokenizer& tokenizer() { return tokenizer_; }
  const Tokenizer& tokenizer() const { return tokenizer_; }
  /// ceil(3 layers / 4) - 1: where the paper reads GPT-2 small's activations, block 8 of 12 counted from 1.
  int64_t default_layer() const { return (3 * sizes().layers + 3) / 4 - 1; }

  /// Contexts of `length` tokens, one after the other, as a tensor of ids. Throws on ids that the model does not have.
  Tensor tokens(std::span<const int32_t> ids) const;

  /// Calls work(i) for each of `batches` forward passes that do not depend on each other: on the cpu on several threads
  /// at once, each pass the work of one; elsewhere one after the other, since a device runs one at a time.
  template <class Work>
  void for_batches(int64_t batches, Work&& work) const {
    if (device_->kind() == DeviceKind::cpu) {
      parallel_for(batches, 1, [&](int64_t i, int64_t) { work(i); });
    } else {
      for (int64_t i = 0; i < batches; ++i) work(i);
    }
  }

  // The forward pass in its parts, so that activations may be read, and the residual stream changed, between blocks.
  // Rows are contexts of `length` positions, one after the other; a batch's results do not depend on its other rows.

  /// ids i32 [rows] to the residual stream before block 0, f32 [rows, width]. Positions that are learned (GPT-2) are
  /// added at the beginning of block 0, where it is known what position a row has.
  Tensor embed(const Tensor& ids) const;
  /// The residual stream before block `end`, given that before block `begin`. Fills `found` with the activations at
  /// `places`, which lie in these blocks, f32 [rows, the site's width] each: as they are before an `intervention`,
  /// whose place lies there too.
  Tensor run_blocks(Tensor residual, int64_t length, int64_t begin, int64_t end, std::span<const SitePlace> places = {},
                    std::vector<Tensor>* found = nullptr, const Intervention* intervention = nullptr) const;
  /// The last normalisation of the residual stream after all blocks, f32.
  Tensor final_norm(const Tensor& residual) const;
  /// Scores of the whole vocabulary, f32 [rows, vocabulary], from the residual stream after all blocks.
  Tensor logits(const Tensor& residual) const;

  /// The activations at `places` for these contexts; blocks beyond the last place are not run.
  std::vector<Tensor> activations(const Tensor& ids, int64_t length, std::span<const SitePlace> places) const;
  /// The same for each row of texts that share beginnings, to the bit what it would be in a text by itself.
  std::vector<Tensor> activations(const SharedTexts& texts, std::span<const SitePlace> places) const;
  /// For each position the negative log-probability of the token that follows it, in nats, from the residual stream
  /// after all blocks: f32 [rows], 0 at the last position of each context.
  Tensor next_token_loss(const Tensor& residual, std::span<const int32_t> ids, int64_t length) const;

  /// Room for `capacity` positions of one text.
  KeyValueCache make_cache(int64_t capacity) const;
  /// Appends the tokens to the text in the cache and gives the scores of what follows the last of them, f32
  /// [1, vocabulary]. Throws where the cache is full.
  Tensor extend(KeyValueCache& cache, std::span<const int32_t> ids, const Intervention* intervention = nullptr) const;

 private:
  LanguageModel(std::string name, std::string title, Device& device, std::unique_ptr<Transformer> transformer,
                Tokenizer tokenizer);
  Tensor run_blocks(Tensor residual, const BlockRun& run, int64_t begin, int64_t end, std::span<const SitePlace> places,
                    std::vector<Tensor>* found, const Intervention* intervention) const;
  void check_length(int64_t rows, int64_t length) const;
  void check_intervention(const Intervention* intervention, int64_t begin, int64_t end) const;

  std::string name_, title_;
  Device* device_;
  std::unique_ptr<Transformer> transformer_;
  Tokenizer tokenizer_;
};

}  // namespace sae
