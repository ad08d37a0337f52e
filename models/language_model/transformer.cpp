#include "models/language_model/transformer.h"

#include "engine/error.h"
#include "engine/parallel.h"
#include "models/language_model/architectures.h"
#include "ops/add/add.h"
#include "ops/gather_rows/gather_rows.h"
#include "ops/layer_norm/layer_norm.h"
#include "ops/rms_norm/rms_norm.h"
#include "ops/swiglu/swiglu.h"

namespace sae {
namespace {

constexpr Site all_sites[] = {Site::resid_post, Site::resid_mid, Site::mlp_out, Site::attn_out, Site::mlp_hidden};

/// residual + w a, that sum normalised before it is added if there is a gain. Where the sum alone is wanted, the
/// product accumulates into the residual stream's own memory.
Tensor add_product(Tensor residual, const PackedMatrix& w, const Tensor& a, const Tensor& gain, double epsilon,
                   Site site, const BlockRun& run, BlockSites& sites) {
  if (!sites.wants(site) && !gain.defined()) {
    Writable sum = std::move(residual).into_writable();
    w.add_product(a, sum);
    return std::move(sum).freeze();
  }
  Tensor product = w.product(a);
  if (gain.defined()) product = rms_norm(product, gain, epsilon, Dtype::f32);
  return add(std::move(residual), sites.pass(site, std::move(product), run));
}

Tensor gathered(const Tensor& rows, const Tensor& index) {
  return require_dense("transformer", gather_rows(rows, index).value);
}

int64_t block_parameters(const ModelForm& form) {
  const int64_t attention = 2 * form.attention.query_columns() + 2 * form.attention.kv_columns();
  const int64_t feed_forward = (is_gated(form.feed_forward) ? 3 : 2) * form.sizes.feed_forward;
  return form.sizes.width * (attention + feed_forward);
}

}  // namespace

std::string_view name_of(Site site) {
  switch (site) {
    case Site::resid_post:
      return "resid_post";
    case Site::resid_mid:
      return "resid_mid";
    case Site::mlp_out:
      return "mlp_out";
    case Site::attn_out:
      return "attn_out";
    case Site::mlp_hidden:
      return "mlp_hidden";
  }
  fail("site {} has no name", static_cast<int>(site));
}

Site parse_site(std::string_view text) {
  for (const Site site : all_sites) {
    if (name_of(site) == text) return site;
  }
  fail("site '{}': expected resid_post, resid_mid, mlp_out, attn_out or mlp_hidden", text);
}

Transformer::Transformer(std::shared_ptr<const ModelFile> file, Device& device, Precision precision)
    : file_(std::move(file)), device_(device), precision_(precision), form_(file_->architecture().describe(*file_)) {
  ModelSizes& sizes = form_.sizes;
  sizes.kv_columns = form_.attention.kv_columns();
  WeightLoader loader(*file_, form_, device, precision);
  const StoredTensor* embedding = file_->find_tensor("token_embd.weight");
  sizes.vocabulary = embedding == nullptr ? 1 : embedding->shape.rows();
  embedding_ = &loader.use("token_embd.weight", {sizes.vocabulary, sizes.width});
  const int64_t vocabulary = file_->size_or("vocab_size", sizes.vocabulary);
  CHECK(vocabulary == sizes.vocabulary, "{} is {}, but tensor '{}' has {} rows", file_->where("vocab_size"), vocabulary,
        embedding_->name, sizes.vocabulary);
  if (form_.learned_positions) positions_ = loader.matrix("position_embd", sizes.context, sizes.width);
  for (int64_t layer = 0; layer < sizes.layers; ++layer) {
    blocks_.push_back(loader.block(layer));
    file_->forget_pages();
  }
  final_norm_ = loader.norm("output_norm");
  stored_output_ =
      &loader.use(form_.tied_output ? "token_embd.weight" : "output.weight", {sizes.vocabulary, sizes.width});
  // some files repeat the embedding as the output that is tied to it
  if (form_.tied_output && file_->find_tensor("output.weight") != nullptr) {
    loader.use("output.weight", embedding_->shape);
  }
  if (file_->find_tensor("rope_freqs.weight") != nullptr && !form_.rotary.frequencies.empty()) {
    loader.use("rope_freqs.weight", {static_cast<int64_t>(form_.rotary.frequencies.size())});
  }
  loader.check_all_used();
  sizes.block_parameters = block_parameters(form_);  // all extents are those of weights that are there
  device.release_cache();                            // of weights before they were packed
}

template <class RowAt>
void Transformer::read_embedding(int64_t rows, RowAt&& row_at, float* to) const {
  const int64_t width = sizes().width;
  const auto scale = static_cast<float>(form_.embedding_scale);
  parallel_for(rows, grain_for(4 * width), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      embedding_->read_row(row_at(r), to + r * width);
      for (int64_t j = 0; scale != 1.0f && j < width; ++j) to[r * width + j] *= scale;
    }
  });
}

Tensor Transformer::embed(const Tensor& ids) const {
  const int64_t rows = ids.elements(), width = sizes().width;
  if (device_.kind() != DeviceKind::cpu) {
    std::call_once(embedding_is_read_, [&] {
      std::vector<float> all(static_cast<size_t>(sizes().vocabulary * width));
      read_embedding(
          sizes().vocabulary, [](int64_t row) { return row; }, all.data());
      embedding_table_ = Tensor::from(device_, {sizes().vocabulary, width}, all);
    });
    return gathered(embedding_table_, ids);
  }
  const int32_t* id = ids.data<int32_t>();
  for (int64_t r = 0; r < rows; ++r) {
    CHECK(0 <= id[r] && id[r] < sizes().vocabulary, "token {} at place {}; the embedding has {} rows", id[r], r,
          sizes().vocabulary);
  }
  Writable y = Tensor::empty(device_, {rows, width}, Dtype::f32);
  read_embedding(
      rows, [id](int64_t row) { return id[row]; }, y.data<float>());
  return std::move(y).freeze();
}

Transformer::Angles Transformer::prepare(Device& device, const BlockRun& run) const {
  const auto table = [&](const RotaryForm& form) {
    return RotaryTable::make(device, Dtype::f32, run.first_position, run.length, form.frequencies, form.pairs);
  };
  Angles angles;
  if (!form_.rotary.frequencies.empty()) angles.all = table(form_.rotary);
  if (!form_.windowed.empty()) angles.window = table(form_.window_rotary);
  return angles;
}

Tensor Transformer::norm(const Tensor& x, const NormWeights& weights, Dtype output) const {
  return form_.norm == NormKind::rms ? rms_norm(x, weights.gain, form_.epsilon, output)
                                     : layer_norm(x, weights.gain, weights.bias, form_.epsilon, output);
}

/// What attention makes of the normalised residual stream: [rows, query columns], before the product with W_o.
Tensor Transformer::mix(int64_t layer, const Tensor& normed, const BlockRun& run, const Angles& angles) const {
  const BlockWeights& w = blocks_[static_cast<size_t>(layer)];
  AttentionSizes sizes = form_.attention;
  const bool windowed = form_.is_windowed(layer);
  if (!windowed) sizes.window = 0;
  Tensor qkv = w.query_key_value.product(normed);
  if (form_.query_key_norm) {
    qkv = rms_norm_heads(std::move(qkv), 0, sizes.heads, w.query_gain, form_.epsilon);
    qkv = rms_norm_heads(std::move(qkv), sizes.query_columns(), sizes.kv_heads, w.key_gain, form_.epsilon);
  }
  if (run.shared != nullptr) qkv = gathered(qkv, run.shared->row_at);
  if (!form_.rotary.frequencies.empty()) {
    const RotaryTable& table = windowed ? angles.window : angles.all;
    qkv = rotary(std::move(qkv), sizes.heads + sizes.kv_heads, sizes.head_dim, table);
  }
  const Dtype output = w.attention_output.input_dtype();
  if (run.cache == nullptr) {
    Tensor mixed = attention(qkv, sizes, run.length, output);
    return run.shared == nullptr ? mixed : gathered(mixed, run.shared->place_of);
  }
  return attention_step(qkv, sizes, run.cache->layers[static_cast<size_t>(layer)], run.first_position, output);
}

Tensor Transformer::activate(const Tensor& up, Dtype output) const {
  switch (form_.feed_forward) {
    case FeedForwardKind::gelu:
      return gelu(up, GeluForm::exact, output);
    case FeedForwardKind::gelu_tanh:
      return gelu(up, GeluForm::tanh, output);
    case FeedForwardKind::swiglu:
      return swiglu(up, output);
    case FeedForwardKind::geglu_tanh:
      return geglu(up, GeluForm::tanh, output);
  }
  fail("feed-forward {} is none", static_cast<int>(form_.feed_forward));
}

Tensor Transformer::block(int64_t layer, Tensor residual, const BlockRun& run, const Angles& angles,
                          BlockSites& sites) const {
  const BlockWeights& w = blocks_[static_cast<size_t>(layer)];
  const Dtype product_input = w.up.input_dtype();
  if (layer == 0 && form_.learned_positions) {
    const Tensor positions = run.shared != nullptr
                                 ? gathered(positions_, run.shared->position)
                                 : positions_.slice_rows(run.first_position, run.first_position + run.length);
    residual = add(std::move(residual), positions);
  }
  Tensor mlp_input;
  if (form_.parallel) mlp_input = norm(residual, w.feed_forward_norm, product_input);
  const Tensor mixed = mix(layer, norm(residual, w.attention_norm, product_input), run, angles);
  residual = add_product(std::move(residual), w.attention_output, mixed, w.attention_output_gain, form_.epsilon,
                         Site::attn_out, run, sites);
  residual = sites.pass(Site::resid_mid, std::move(residual), run);

  if (!form_.parallel) mlp_input = norm(residual, w.feed_forward_norm, product_input);
  Tensor hidden = activate(w.up.product(mlp_input), sites.wants(Site::mlp_hidden) ? Dtype::f32 : product_input);
  hidden = sites.pass(Site::mlp_hidden, std::move(hidden), run);
  residual = add_product(std::move(residual), w.down, hidden, w.feed_forward_output_gain, form_.epsilon, Site::mlp_out,
                         run, sites);
  return sites.pass(Site::resid_post, std::move(residual), run);
}

const PackedMatrix& Transformer::output_layer() const {
  std::call_once(output_is_packed_, [&] {
    output_ = pack_stored(*file_, *stored_output_, device_, precision_);
    device_.release_cache();
  });
  return output_;
}

Tensor Transformer::final_norm(const Tensor& residual, Dtype output) const {
  return norm(residual, final_norm_, output);
}

}  // namespace sae
