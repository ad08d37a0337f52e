#include "models/language_model/llama.h"

#include <fmt/format.h>

#include <set>

#include "engine/error.h"
#include "models/language_model/gguf.h"
#include "ops/attention/attention.h"
#include "ops/gather_rows/gather_rows.h"
#include "ops/rms_norm/rms_norm.h"
#include "ops/rotary/rotary.h"
#include "ops/swiglu/swiglu.h"

namespace sae {
namespace {

struct Block {
  Tensor attention_gain, feed_forward_gain;  // [width]
  PackedMatrix query_key_value;              // [query + 2 kv columns, width]
  PackedMatrix attention_output;             // [width, query columns]
  PackedMatrix gate_up;                      // [2 feed_forward, width]
  PackedMatrix down;                         // [width, feed_forward]
};

struct Angles final : Transformer::Shared {
  RotaryTable table;
};

/// residual + w a. Where the sum alone is wanted, the product accumulates into the residual stream's own memory.
Tensor add_product(Tensor residual, const PackedMatrix& w, const Tensor& a, Site site, const BlockRun& run,
                   BlockSites& sites) {
  if (!sites.wants(site)) {
    Writable sum = std::move(residual).into_writable();
    w.add_product(a, sum);
    return std::move(sum).freeze();
  }
  const Tensor product = sites.pass(site, w.product(a), run);
  Writable sum = std::move(residual).into_writable();
  float* to = sum.data<float>();
  const float* from = product.data<float>();
  for (int64_t i = 0; i < product.elements(); ++i) to[i] += from[i];
  return std::move(sum).freeze();
}

class Llama final : public Transformer {
 public:
  Llama(const GgufFile& file, Device& device, Precision precision) : file_(&file), device_(device) {
    read_sizes();
    embedding_ = load({"token_embd.weight"}, {sizes_.vocabulary}, sizes_.width);
    for (int64_t layer = 0; layer < sizes_.layers; ++layer) blocks_.push_back(load_block(layer, precision));
    final_gain_ = gain("output_norm.weight");
    // without an output layer of its own, a model reads logits off its embedding
    const bool tied = file.find_tensor("output.weight") == nullptr;
    output_ =
        PackedMatrix::pack(tied ? embedding_ : load({"output.weight"}, {sizes_.vocabulary}, sizes_.width), precision);
    check_all_used();
    file_ = nullptr;
  }

  Tensor embed(const Tensor& ids) const override { return gather_rows(embedding_, ids); }

  std::unique_ptr<Shared> prepare(Device& device, const BlockRun& run) const override {
    auto angles = std::make_unique<Angles>();
    angles->table = RotaryTable::make(device, Dtype::f32, run.first_position, run.length,
                                      rotary_frequencies(attention_.head_dim, rope_base_), RotaryPairs::neighbours);
    return angles;
  }

  Tensor block(int64_t layer, Tensor residual, const BlockRun& run, const Shared& shared,
               BlockSites& sites) const override {
    const Block& b = blocks_[static_cast<size_t>(layer)];
    const Dtype product_input = b.gate_up.input_dtype();
    const auto& angles = static_cast<const Angles&>(shared);

    Tensor qkv = b.query_key_value.product(rms_norm(residual, b.attention_gain, epsilon_, product_input));
    qkv = rotary(std::move(qkv), attention_.heads + attention_.kv_heads, attention_.head_dim, angles.table);
    const Tensor mixed = run.cache == nullptr
                             ? attention(qkv, attention_, run.length, product_input)
                             : attention_step(qkv, attention_, run.cache->layers[static_cast<size_t>(layer)],
                                              run.first_position, product_input);
    residual = add_product(std::move(residual), b.attention_output, mixed, Site::attn_out, run, sites);
    residual = sites.pass(Site::resid_mid, std::move(residual), run);

    const Tensor normed = rms_norm(residual, b.feed_forward_gain, epsilon_, product_input);
    const Tensor gated = swiglu(b.gate_up.product(normed), product_input);
    residual = add_product(std::move(residual), b.down, gated, Site::mlp_out, run, sites);
    return sites.pass(Site::resid_post, std::move(residual), run);
  }

  Tensor final_norm(const Tensor& residual, Dtype output) const override {
    return rms_norm(residual, final_gain_, epsilon_, output);
  }

  const PackedMatrix& output_layer() const override { return output_; }

 private:
  /// A size from the metadata, in a range in which products of two still fit 64 bits.
  int64_t size(std::string_view key) const {
    const int64_t value = file_->integer(key);
    CHECK(value > 0 && value <= 1 << 24, "{}: '{}' is {}", file_->name(), key, value);
    return value;
  }

  void read_sizes() {
    sizes_.architecture = "llama";
    sizes_.layers = size("llama.block_count");
    sizes_.width = size("llama.embedding_length");
    sizes_.context = size("llama.context_length");
    sizes_.feed_forward = size("llama.feed_forward_length");
    attention_.heads = size("llama.attention.head_count");
    attention_.kv_heads =
        file_->has("llama.attention.head_count_kv") ? size("llama.attention.head_count_kv") : attention_.heads;
    CHECK(sizes_.width % attention_.heads == 0 && attention_.heads % attention_.kv_heads == 0,
          "{}: a width of {} does not divide into {} heads, or those over {} key/value heads", file_->name(),
          sizes_.width, attention_.heads, attention_.kv_heads);
    attention_.head_dim = sizes_.width / attention_.heads;
    CHECK(attention_.head_dim % 16 == 0, "{}: heads of {} elements; multiples of 16 are supported", file_->name(),
          attention_.head_dim);
    sizes_.kv_columns = attention_.kv_columns();
    epsilon_ = file_->number("llama.attention.layer_norm_rms_epsilon");
    rope_base_ = file_->number_or("llama.rope.freq_base", 10000);
    CHECK(epsilon_ >= 0 && epsilon_ < 1 && rope_base_ > 0 && rope_base_ < 1e12,
          "{}: an epsilon of {} or a rotary base of {} is out of range", file_->name(), epsilon_, rope_base_);
    refuse_variants();
    const GgufFile::TensorInfo* embedding = file_->find_tensor("token_embd.weight");
    CHECK(embedding != nullptr, "{}: the tensor 'token_embd.weight' is missing", file_->name());
    sizes_.vocabulary = embedding->shape.rows();
    sizes_.block_parameters = sizes_.width * (2 * attention_.query_columns() + 2 * attention_.kv_columns()) +
                              3 * sizes_.width * sizes_.feed_forward;
  }

  /// What the metadata may ask for and this form does not do: better refused than wrong.
  void refuse_variants() const {
    CHECK(!file_->has("llama.rope.scaling.type") || file_->text("llama.rope.scaling.type") == "none",
          "{}: rope scaling is not supported", file_->name());
    CHECK(file_->integer_or("llama.expert_count", 0) == 0, "{}: a mixture of experts is not supported", file_->name());
    for (const char* key :
         {"llama.rope.dimension_count", "llama.attention.key_length", "llama.attention.value_length"}) {
      const int64_t value = file_->integer_or(key, attention_.head_dim);
      CHECK(value == attention_.head_dim, "{}: '{}' is {}; only the head size of {} is supported", file_->name(), key,
            value, attention_.head_dim);
    }
  }

  /// The rows of several weights of `inputs` columns under each other. All are checked before room is made.
  Tensor load(const std::vector<std::string>& names, const std::vector<int64_t>& rows, int64_t inputs) {
    std::vector<const GgufFile::TensorInfo*> infos;
    int64_t total = 0;
    for (size_t i = 0; i < names.size(); ++i) {
      infos.push_back(&file_->tensor(names[i], {rows[i], inputs}));
      used_.insert(infos.back()->name);
      total += rows[i];
    }
    Writable all = Tensor::empty(device_, {total, inputs}, Dtype::f32);
    float* to = all.data<float>();
    for (const GgufFile::TensorInfo* info : infos) {
      file_->read(*info, {to, static_cast<size_t>(info->shape.elements())});
      to += info->shape.elements();
    }
    return std::move(all).freeze();
  }

  Tensor gain(const std::string& name) {
    const GgufFile::TensorInfo& info = file_->tensor(name, {sizes_.width});
    used_.insert(info.name);
    Writable out = Tensor::empty(device_, {sizes_.width}, Dtype::f32);
    file_->read(info, {out.data<float>(), static_cast<size_t>(sizes_.width)});
    return std::move(out).freeze();
  }

  Block load_block(int64_t layer, Precision precision) {
    const auto name = [&](const char* part) { return fmt::format("blk.{}.{}.weight", layer, part); };
    const int64_t q = attention_.query_columns(), kv = attention_.kv_columns(), width = sizes_.width;
    const int64_t feed_forward = sizes_.feed_forward;
    const auto pack = [&](const std::vector<std::string>& names, const std::vector<int64_t>& rows, int64_t inputs) {
      return PackedMatrix::pack(load(names, rows, inputs), precision);
    };
    Block block;
    block.attention_gain = gain(name("attn_norm"));
    block.feed_forward_gain = gain(name("ffn_norm"));
    block.query_key_value = pack({name("attn_q"), name("attn_k"), name("attn_v")}, {q, kv, kv}, width);
    block.attention_output = pack({name("attn_output")}, {width}, q);
    block.gate_up = pack({name("ffn_gate"), name("ffn_up")}, {feed_forward, feed_forward}, width);
    block.down = pack({name("ffn_down")}, {width}, feed_forward);
    return block;
  }

  void check_all_used() const {
    for (const GgufFile::TensorInfo& info : file_->tensors()) {
      CHECK(
          used_.count(info.name) > 0,
          "{}: tensor '{}' is none that a llama of {} layers has (biases, rope factors and experts are not supported)",
          file_->name(), info.name, sizes_.layers);
    }
  }

  const GgufFile* file_;  // while loading
  Device& device_;
  std::set<std::string_view> used_;
  AttentionSizes attention_{};
  double epsilon_ = 0, rope_base_ = 0;
  Tensor embedding_;   // [vocabulary, width]
  Tensor final_gain_;  // [width]
  std::vector<Block> blocks_;
  PackedMatrix output_;
};

}  // namespace

std::unique_ptr<Transformer> load_llama(const GgufFile& file, Device& device, Precision precision) {
  return std::make_unique<Llama>(file, device, precision);
}

}  // namespace sae
