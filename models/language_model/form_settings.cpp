#include "models/language_model/form_settings.h"

#include <cmath>
#include <numbers>

#include "engine/error.h"
#include "models/language_model/architectures.h"

namespace sae {
namespace {

/// Llama 3's scaling: pairs that turn seldom in the context that the model was first trained on are slowed down by the
/// factor, those that turn often are left alone, and in between one runs into the other.
void scale_like_llama3(const ModelFile& file, std::vector<double>& frequencies) {
  const double factor = file.number("rope.scaling.factor");
  const double low = file.number("rope.scaling.low_freq_factor"), high = file.number("rope.scaling.high_freq_factor");
  const double context = file.number("rope.scaling.original_context_length");
  CHECK(factor > 0 && low > 0 && high > low && context > 0,
        "{}: a factor of {}, from {} to {} turns in a context of {}, is no scaling", file.where("rope.scaling.type"),
        factor, low, high, context);
  for (double& frequency : frequencies) {
    const double turns = context * frequency / (2 * std::numbers::pi);
    if (turns >= high) continue;
    const double kept = turns <= low ? 0 : (turns - low) / (high - low);
    frequency *= (1 - kept) / factor + kept;
  }
}

}  // namespace

ModelForm common_form(const ModelFile& file, NormKind norm, bool tied_unless_said) {
  ModelForm form;
  ModelSizes& sizes = form.sizes;
  sizes.architecture = file.architecture().gguf;
  sizes.layers = file.size("block_count");
  sizes.width = file.size("embedding_length");
  sizes.context = file.size("context_length");
  sizes.feed_forward = file.size_or("feed_forward_length", 4 * sizes.width);
  AttentionSizes& attention = form.attention;
  attention.heads = file.size("attention.head_count");
  attention.kv_heads = file.size_or("attention.head_count_kv", attention.heads);
  CHECK(attention.heads % attention.kv_heads == 0, "{} is {}, which does not divide into {} heads of keys and values",
        file.where("attention.head_count"), attention.heads, attention.kv_heads);
  if (file.has("attention.key_length")) {
    attention.head_dim = file.size("attention.key_length");
  } else {
    CHECK(sizes.width % attention.heads == 0, "{} is {}, which does not divide into {} heads",
          file.where("embedding_length"), sizes.width, attention.heads);
    attention.head_dim = sizes.width / attention.heads;
  }
  const int64_t value_length = file.size_or("attention.value_length", attention.head_dim);
  CHECK(value_length == attention.head_dim, "{} is {}; only the {} of the keys is supported",
        file.where("attention.value_length"), value_length, attention.head_dim);
  CHECK(attention.head_dim % 16 == 0, "{}: heads of {} elements; multiples of 16 are supported", file.name(),
        attention.head_dim);

  form.norm = norm;
  const char* epsilon = norm == NormKind::rms ? "attention.layer_norm_rms_epsilon" : "attention.layer_norm_epsilon";
  form.epsilon = file.number(epsilon);
  CHECK(form.epsilon >= 0 && form.epsilon < 1, "{} is {}; expected 0 to 1", file.where(epsilon), form.epsilon);
  const bool from_gguf = file.format() == ModelFile::Format::gguf;
  form.tied_output =
      from_gguf ? file.find_tensor("output.weight") == nullptr : file.boolean_or("tied", tied_unless_said);
  CHECK(!file.has("expert_count") || file.integer("expert_count") == 0, "{}: a mixture of experts is not supported",
        file.where("expert_count"));
  return form;
}

FeedForwardKind activation(const ModelFile& file, FeedForwardKind usual) {
  if (!file.has("activation")) return usual;
  const std::string name = file.text("activation");
  const bool gated = is_gated(usual);
  if (gated && (name == "silu" || name == "swish")) return FeedForwardKind::swiglu;
  const bool tanh = name == "gelu_new" || name == "gelu_pytorch_tanh" || name == "gelu_fast";
  if (tanh) return gated ? FeedForwardKind::geglu_tanh : FeedForwardKind::gelu_tanh;
  if (!gated && name == "gelu") return FeedForwardKind::gelu;
  fail("{} is '{}', which is not supported there", file.where("activation"), name);
}

std::vector<double> rotary_of(const ModelFile& file, int64_t dimensions) {
  CHECK(dimensions > 0 && dimensions % 2 == 0, "{}: {} rotated elements of a head; expected an even number",
        file.name(), dimensions);
  const double base = file.number_or("rope.freq_base", 10000);
  CHECK(base > 0 && base < 1e12, "{} is {}, which is out of range", file.where("rope.freq_base"), base);
  std::vector<double> frequencies = rotary_frequencies(dimensions, base);

  const std::string type = file.has("rope.scaling.type") ? file.text("rope.scaling.type") : "none";
  if (type == "linear") {
    const double factor = file.number("rope.scaling.factor");
    CHECK(factor > 0, "{} is {}; expected a number above 0", file.where("rope.scaling.factor"), factor);
    for (double& frequency : frequencies) frequency /= factor;
  } else if (type == "llama3") {
    scale_like_llama3(file, frequencies);
  } else {
    CHECK(type == "none" || type == "default", "{} is '{}'; supported: linear, llama3", file.where("rope.scaling.type"),
          type);
  }
  if (file.find_tensor("rope_freqs.weight") != nullptr) {  // how GGUF stores llama3's scaling: divisors
    const StoredTensor& stored = file.tensor("rope_freqs.weight", {dimensions / 2});
    std::vector<float> divisors(frequencies.size());
    stored.read_row(0, divisors.data());
    for (size_t i = 0; i < frequencies.size(); ++i) {
      CHECK(divisors[i] > 0, "{}: tensor '{}' has a {} at place {}; expected numbers above 0", stored.file, stored.name,
            divisors[i], i);
      frequencies[i] /= static_cast<double>(divisors[i]);
    }
  }
  return frequencies;
}

void refuse_if_set(const ModelFile& file, std::string_view setting) {
  CHECK(!file.boolean_or(setting, false), "{} is true, which is not supported", file.where(setting));
}

}  // namespace sae
