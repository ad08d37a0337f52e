#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/tensor.h"
#include "ops/matmul/packed_matrix.h"

namespace sae {

class GgufFile;

/// Where activations are read, in every architecture the same: the residual stream after a block, or between its
/// attention and its feed-forward; and what the feed-forward or the attention adds to it.
enum class Site { resid_post, resid_mid, mlp_out, attn_out };
constexpr int site_count = 4;

std::string_view name_of(Site site);
/// Parses "resid_post" and so on; throws, listing the choices, on anything else.
Site parse_site(std::string_view text);

/// What every architecture has.
struct ModelSizes {
  std::string architecture;
  int64_t layers = 0, width = 0, feed_forward = 0, vocabulary = 0, context = 0;
  int64_t kv_columns = 0;        ///< of the keys of one position in one layer; the values have as many
  int64_t block_parameters = 0;  ///< weights of one block that a token is multiplied by
};

/// Keys and values of the positions that a model has seen of one text, for every layer.
struct KeyValueCache {
  std::vector<Writable> layers;  // each [capacity, 2 kv_columns] f32
  int64_t capacity = 0;
  int64_t length = 0;  ///< positions in use
};

/// How blocks are run over rows that are contexts of `length` positions, one after the other.
struct BlockRun {
  int64_t length = 0;
  int64_t first_position = 0;      ///< of every context; above 0 only with a cache
  KeyValueCache* cache = nullptr;  ///< then there is one context, and its positions are appended
};

/// What takes the place of activations: a function of them, f32 [rows, width], that gives as many. Rows are contexts of
/// `length` positions, one after the other; the first row of each stands at `first_position`.
using Replacement = std::function<Tensor(Tensor activations, int64_t first_position, int64_t length)>;

/// The activations of one block that somebody asked for: those with `wanted` set are filled in, f32 [rows, width]. At
/// `replaced`, the block goes on with what `replace` makes of them.
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

/// An architecture: its weights, and what a block does. Implementations: llama.cpp.
class Transformer {
 public:
  virtual ~Transformer() = default;
  const ModelSizes& sizes() const { return sizes_; }

  /// ids i32 [rows] to the residual stream f32 [rows, width].
  virtual Tensor embed(const Tensor& ids) const = 0;
  /// Called once before the blocks of a run: what they share, such as angles of positions.
  class Shared {
   public:
    virtual ~Shared() = default;
  };
  virtual std::unique_ptr<Shared> prepare(Device& device, const BlockRun& run) const = 0;
  /// The residual stream after block `layer`, given that before it.
  virtual Tensor block(int64_t layer, Tensor residual, const BlockRun& run, const Shared& shared,
                       BlockSites& sites) const = 0;
  /// The last normalisation, as the output layer reads it or as f32.
  virtual Tensor final_norm(const Tensor& residual, Dtype output) const = 0;
  /// [vocabulary, width]
  virtual const PackedMatrix& output_layer() const = 0;

 protected:
  ModelSizes sizes_;
};

/// The architecture that the file names. Throws, listing what is supported, on another.
std::unique_ptr<Transformer> load_transformer(const GgufFile& file, Device& device, Precision precision);

}  // namespace sae
