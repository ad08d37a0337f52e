#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <vector>

#include "engine/tensor.h"
#include "models/language_model/block_weights.h"
#include "models/language_model/model_file.h"
#include "models/language_model/model_form.h"

namespace sae {

/// Where activations are read, in every architecture the same: the residual stream after a block, or after what its
/// attention adds; what the feed-forward or the attention adds to it (where that is normalised, afterwards); and the
/// hidden activations of the feed-forward, as its last product reads them.
enum class Site { resid_post, resid_mid, mlp_out, attn_out, mlp_hidden };
constexpr int site_count = 5;

std::string_view name_of(Site site);
/// Parses "resid_post" and so on; throws, listing the choices, on anything else.
Site parse_site(std::string_view text);

/// Keys and values of the positions that a model has seen of one text, for every layer.
struct KeyValueCache {
  std::vector<Writable> layers;  // each [capacity, 2 kv_columns] f32
  int64_t capacity = 0;
  int64_t length = 0;  ///< positions in use
};

/// Rows that stand in several contexts (SharedTexts). Attention alone needs the contexts; all else works on rows.
struct SharedRows {
  Tensor row_at;    ///< i32 [contexts * length]
  Tensor place_of;  ///< i32 [rows]: a place in row_at
  Tensor position;  ///< i32 [rows]: in its context
};

/// How blocks are run over rows that are contexts of `length` positions, one after the other.
struct BlockRun {
  int64_t length = 0;
  int64_t first_position = 0;          ///< of every context; above 0 only with a cache
  KeyValueCache* cache = nullptr;      ///< then there is one context, and its positions are appended
  const SharedRows* shared = nullptr;  ///< then rows are shared by contexts; not with a cache
};

/// What takes the place of activations: a function of them, f32 [rows, the site's width], that gives as many. Rows are
/// contexts of `length` positions, one after the other; the first row of each stands at `first_position`.
using Replacement = std::function<Tensor(Tensor activations, int64_t first_position, int64_t length)>;

/// The activations of one block that somebody asked for: those with `wanted` set are filled in, f32 [rows, the
/// site's width]. At `replaced`, the block goes on with what `replace` makes of them.
struct BlockSites {
  std::array<bool, site_count> wanted{};
  std::array<Tensor, site_count> values;
  std::optional<Site> replaced;
  Replacement replace;
  bool wants(Site site) const { return wanted[static_cast<size_t>(site)] || replaced == site; }
  /// A block calls this with the activations of each site, and goes on with what it gives back.
  Tensor pass(Site site, Tensor value, const BlockRun& run) {
    if (wanted[static_cast<size_t>(site)]) values[static_cast<size_t>(site)] = value;
    return replaced == site ? replace(std::move(value), run.first_position, run.length) : value;
  }
};

/// A decoder of any form, with its weights. What an architecture is stands in its form; the code here is the same for
/// all.
class Transformer {
 public:
  /// Throws, naming file and tensor, on one that is missing, has another shape or is not used by the form.
  Transformer(std::shared_ptr<const ModelFile> file, Device& device, Precision precision);

  const ModelSizes& sizes() const { return form_.sizes; }
  /// Columns of what is read at a site.
  int64_t width_of(Site site) const { return site == Site::mlp_hidden ? sizes().feed_forward : sizes().width; }

  /// ids i32 [rows] to vectors f32 [rows, width]. On the cpu rows are decoded from the file, which stays open;
  /// another device keeps the whole table, as f32, from the first call on.
  Tensor embed(const Tensor& ids) const;
  /// What the blocks of a run share: the angles of its positions.
  struct Angles {
    RotaryTable all, window;
  };
  Angles prepare(Device& device, const BlockRun& run) const;
  /// The residual stream after block `layer`, given that before it. Block 0 also adds learned positions.
  Tensor block(int64_t layer, Tensor residual, const BlockRun& run, const Angles& angles, BlockSites& sites) const;
  /// The last normalisation, as the output layer reads it or as f32.
  Tensor final_norm(const Tensor& residual, Dtype output) const;
  /// [vocabulary, width]. Read and packed when it is first asked for, by whichever thread is first: who wants
  /// activations alone pays neither time nor memory for it.
  const PackedMatrix& output_layer() const;

 private:
  Tensor norm(const Tensor& x, const NormWeights& weights, Dtype output) const;
  Tensor mix(int64_t layer, const Tensor& normed, const BlockRun& run, const Angles& angles) const;
  Tensor activate(const Tensor& up, Dtype output) const;
  /// Rows of the embedding as they enter block 0: row_at(r) to `to` + r width.
  template <class RowAt>
  void read_embedding(int64_t rows, RowAt&& row_at, float* to) const;

  std::shared_ptr<const ModelFile> file_;
  Device& device_;
  Precision precision_;
  ModelForm form_;
  const StoredTensor* embedding_ = nullptr;  // of file_
  mutable std::once_flag embedding_is_read_;
  mutable Tensor embedding_table_;  // [vocabulary, width] f32, scaled; not on the cpu
  Tensor positions_;                // [context, width], where they are learned
  NormWeights final_norm_;
  std::vector<BlockWeights> blocks_;
  const StoredTensor* stored_output_ = nullptr;  // of file_
  mutable std::once_flag output_is_packed_;
  mutable PackedMatrix output_;
};

}  // namespace sae
