#include "models/interchange/foreign_formats.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <limits>
#include <memory>

#include "engine/error.h"

namespace sae {

ForeignTensors::ForeignTensors(std::string file, const std::vector<std::string>& names, Read read)
    : file_(std::move(file)), names_(names.begin(), names.end()), read_(std::move(read)) {}

ForeignTensors ForeignTensors::of_safetensors(const std::string& path, const AutoencoderParts& parts) {
  const auto file = std::make_shared<SafetensorsFile>(path);
  return ForeignTensors(path, file->names(),
                        [file, host = parts.host](const std::string& name) { return file->read(*host, name); });
}

ForeignTensors ForeignTensors::of_torch_file(std::shared_ptr<const TorchFile> file, const AutoencoderParts& parts) {
  return ForeignTensors(file->name(), file->names(),
                        [file, host = parts.host](const std::string& name) { return file->read(*host, name); });
}

Tensor ForeignTensors::take(const std::string& name, Shape shape) {
  CHECK(names_.erase(name) == 1, "{}: has no tensor '{}'", file_, name);
  const Tensor found = read_(name);
  CHECK(found.shape() == shape, "{}: tensor '{}' is {}, expected {}", file_, name, found.shape().to_string(),
        shape.to_string());
  return found.to(Dtype::f32);
}

Shape ForeignTensors::shape_of(const std::string& name) const {
  CHECK(names_.contains(name), "{}: has no tensor '{}'", file_, name);
  const Shape shape = read_(name).shape();
  CHECK(shape.rank() == 2, "{}: tensor '{}' is {}, expected a matrix", file_, name, shape.to_string());
  return shape;
}

void ForeignTensors::require_all_taken(std::string_view what) const {
  CHECK(names_.empty(), "{}: holds a tensor '{}', which {} does not have; it is another kind of autoencoder", file_,
        *names_.begin(), what);
}

std::string text_or(const Json& object, std::string_view key, const std::string& otherwise) {
  return object.has(key) && !object.at(key).is_null() ? object.at(key).text() : otherwise;
}
int64_t integer_or(const Json& object, std::string_view key, int64_t otherwise) {
  return object.has(key) && !object.at(key).is_null() ? object.at(key).integer() : otherwise;
}
bool boolean_or(const Json& object, std::string_view key, bool otherwise) {
  return object.has(key) && !object.at(key).is_null() ? object.at(key).boolean() : otherwise;
}

namespace {

/// The notes that say on which activations an autoencoder was trained.
constexpr std::string_view carried_notes[] = {"subject", "model", "layer", "site", "context_length", "beginning"};

bool all_equal(const Tensor& x) {
  const float* values = x.data<float>();
  return std::all_of(values, values + x.elements(), [&](float value) { return value == values[0]; });
}

}  // namespace

Json own_facts(const AutoencoderParts& parts) {
  Json facts = Json::object();
  facts.set("activation", name_of(parts.options.activation)).set("k", parts.options.k);
  facts.set("input_normalisation", name_of(parts.options.normalisation));
  for (const std::string_view key : carried_notes) {
    const std::string text = note_of(parts.notes, key);
    if (!text.empty()) facts.set(key, text);
  }
  return facts;
}

void read_own_normalisation(const Json& holder, AutoencoderParts& parts) {
  parts.options.normalisation = InputNormalisation::none;
  if (!holder.has(own_facts_key)) return;
  const Json facts = holder.at(own_facts_key);
  parts.options.normalisation = parse_input_normalisation(facts.at("input_normalisation").text());
}

double layer_norm_length(int64_t width) {
  CHECK(width >= 2, "a width of {} has no layer norm", width);
  return std::sqrt(static_cast<double>(width - 1));
}

void read_own_facts(const Json& holder, AutoencoderParts& parts) {
  if (!holder.has(own_facts_key)) return;
  const Json facts = holder.at(own_facts_key);
  for (const std::string_view key : carried_notes) {
    if (!facts.has(key)) continue;
    std::erase_if(parts.notes, [&](const auto& note) { return note.first == key; });
    parts.notes.emplace_back(key, facts.at(key).text());
  }
  const Activation activation = parse_activation(facts.at("activation").text());
  if (parts.options.activation == Activation::topk && activation == Activation::multi_topk) {
    parts.options.activation = activation;
  }
  if (parts.options.activation == Activation::jump_relu && facts_of(activation).whole_batch) {
    const Tensor each = thresholds(parts);
    CHECK(all_equal(each), "the file calls itself {}, but its thresholds differ", name_of(activation));
    parts.options.activation = activation;
    parts.options.k = facts.at("k").integer();
    parts.extra = {Tensor::scalar(each.device(), static_cast<double>(each.data<float>()[0])).to(Dtype::f32)};
  }
}

namespace {

struct HookSite {
  std::string_view hook, site;
};
constexpr HookSite hook_sites[] = {{".hook_resid_post", "resid_post"},
                                   {".hook_resid_mid", "resid_mid"},
                                   {".hook_attn_out", "attn_out"},
                                   {".hook_mlp_out", "mlp_out"},
                                   {".mlp.hook_post", "mlp_hidden"}};

}  // namespace

std::string hook_name(const Metadata& notes) {
  const std::string layer = note_of(notes, "layer"), site = note_of(notes, "site");
  for (const HookSite& one : hook_sites) {
    if (one.site == site && !layer.empty()) return "blocks." + layer + std::string(one.hook);
  }
  return "";
}

void read_hook_name(const std::string& name, Metadata& notes) {
  constexpr std::string_view start = "blocks.";
  if (!name.starts_with(start)) return;
  int64_t layer = 0;
  const char* end = name.data() + name.size();
  const auto [rest, error] = std::from_chars(name.data() + start.size(), end, layer);
  for (const HookSite& one : hook_sites) {
    if (error != std::errc() || layer < 0 || std::string_view(rest, end) != one.hook) continue;
    notes.emplace_back("layer", std::to_string(layer));
    notes.emplace_back("site", one.site);
  }
}

Tensor log_threshold(const Tensor& threshold) {
  std::vector<float> logs = threshold.to_vector<float>();
  for (float& value : logs) value = std::log(std::max(value, std::numeric_limits<float>::min()));
  return Tensor::from(threshold.device(), threshold.shape(), logs);
}

Tensor thresholds(const AutoencoderParts& parts) {
  const Tensor& own = parts.extra.at(0);
  std::vector<float> values = own.to_vector<float>();
  if (facts_of(parts.options.activation).whole_batch) {
    CHECK(values[0] > 0, "the threshold of this autoencoder was never measured, so it has no latents to write");
    values.assign(static_cast<size_t>(parts.options.latents), values[0]);
  } else {
    for (float& value : values) value = std::exp(value);
  }
  return Tensor::from(own.device(), {parts.options.latents}, values);
}

void prepare_folder(const std::string& folder, const std::vector<std::string>& files, IfExists if_exists) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  CHECK(std::filesystem::is_directory(folder), "{}: cannot be created as a folder: {}", folder, error.message());
  for (const std::string& file : files) {
    CHECK(if_exists == IfExists::replace || !std::filesystem::exists(folder + "/" + file),
          "{}/{}: exists already; overwrite it, or choose another folder", folder, file);
  }
}

}  // namespace sae
