#include "models/language_model/language_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "engine/error.h"
#include "models/language_model/model_file.h"
#include "ops/cross_entropy/cross_entropy.h"

namespace sae {
namespace {

/// Rows of logits that are made at once: 256 of 49,152 entries are 50 MB.
constexpr int64_t logits_rows = 256;

/// How most weights are stored.
std::string main_quantisation(const ModelFile& file) {
  std::map<std::string_view, int64_t> elements;
  for (const auto& [name, tensor] : file.tensors()) elements[tensor.stored_as] += tensor.shape.elements();
  const auto most = std::max_element(elements.begin(), elements.end(),
                                     [](const auto& a, const auto& b) { return a.second < b.second; });
  return most == elements.end() ? "" : std::string(most->first);
}

/// The file's name without .gguf, or the folder's.
std::string name_of_model(const std::string& path, ModelFile::Format format) {
  namespace fs = std::filesystem;
  if (format == ModelFile::Format::gguf) return fs::path(path).stem().string();
  return fs::canonical(path).filename().string();
}

/// "Model.Q4_1" and "Q4_1" make "Model, Q4_1 dequantised"; weights that are floats need no mention.
std::string title_of(std::string name, const std::string& quantisation) {
  for (const char* separator : {".", "-"}) {
    if (name.ends_with(separator + quantisation)) name.resize(name.size() - quantisation.size() - 1);
  }
  const bool is_float = quantisation == "F32" || quantisation == "F16" || quantisation == "BF16";
  return is_float || quantisation.empty() ? name : fmt::format("{}, {} dequantised", name, quantisation);
}

/// A GGUF file has a row of the embedding for each token. A folder's embedding may be longer than its vocabulary,
/// padded for the sake of speed, and lack rows for special tokens that the model does not know; any other token has
/// one.
void check_vocabulary(const ModelFile& file, const Tokenizer& tokenizer, int64_t rows) {
  int64_t needed = tokenizer.size();
  if (file.format() == ModelFile::Format::hugging_face) {
    while (needed > rows && tokenizer.is_special(static_cast<int32_t>(needed - 1))) --needed;
    if (needed < rows) return;
  }
  CHECK(needed == rows, "{}: the tokenizer has {} tokens, but the embedding {} rows", file.name(), tokenizer.size(),
        rows);
}

}  // namespace

LanguageModel::LanguageModel(std::string name, std::string title, Device& device,
                             std::unique_ptr<Transformer> transformer, Tokenizer tokenizer)
    : name_(std::move(name)),
      title_(std::move(title)),
      device_(&device),
      transformer_(std::move(transformer)),
      tokenizer_(std::move(tokenizer)) {}

LanguageModel LanguageModel::load(const std::string& path, Device& device, Precision precision) {
  // the architecture first: a file of another kind should be refused for what it is, not for its tokenizer
  const std::shared_ptr<const ModelFile> file = ModelFile::open(path);
  auto transformer = std::make_unique<Transformer>(file, device, precision);
  Tokenizer tokenizer(file->tokenizer());
  check_vocabulary(*file, tokenizer, transformer->sizes().vocabulary);
  std::string name = name_of_model(path, file->format());
  std::string title = title_of(name, main_quantisation(*file));
  return LanguageModel(std::move(name), std::move(title), device, std::move(transformer), std::move(tokenizer));
}

Tensor LanguageModel::tokens(std::span<const int32_t> ids) const {
  for (size_t i = 0; i < ids.size(); ++i) {
    CHECK(0 <= ids[i] && ids[i] < sizes().vocabulary, "{}: token {} at place {}; the vocabulary has {}", name_, ids[i],
          i, sizes().vocabulary);
  }
  return Tensor::from(*device_, {static_cast<int64_t>(ids.size())}, ids);
}

Tensor LanguageModel::embed(const Tensor& ids) const { return transformer_->embed(ids); }

void LanguageModel::check_length(int64_t rows, int64_t length) const {
  CHECK(length > 0 && length <= sizes().context && rows % length == 0,
        "{}: {} rows in contexts of {} positions; the model has up to {}", name_, rows, length, sizes().context);
}

void LanguageModel::check_intervention(const Intervention* intervention, int64_t begin, int64_t end) const {
  if (intervention == nullptr) return;
  CHECK(begin <= intervention->place.layer && intervention->place.layer < end,
        "{}: activations of layer {} cannot be replaced in blocks {} to {}", name_, intervention->place.layer, begin,
        end - 1);
}

namespace {

/// The block after the last of the places.
int64_t end_of(std::span<const SitePlace> places) {
  int64_t end = 0;
  for (const SitePlace& place : places) end = std::max(end, place.layer + 1);
  return end;
}

/// What one block is asked for.
BlockSites sites_of(int64_t layer, std::span<const SitePlace> places, const Intervention* intervention) {
  BlockSites sites;
  for (const SitePlace& place : places) {
    if (place.layer == layer) sites.wanted[static_cast<size_t>(place.site)] = true;
  }
  if (intervention != nullptr && intervention->place.layer == layer) {
    sites.replaced = intervention->place.site;
    sites.replace = intervention->replace;
  }
  return sites;
}

}  // namespace

Tensor LanguageModel::run_blocks(Tensor residual, int64_t length, int64_t begin, int64_t end,
                                 std::span<const SitePlace> places, std::vector<Tensor>* found,
                                 const Intervention* intervention) const {
  check_length(residual.rows(), length);
  BlockRun run;
  run.length = length;
  return run_blocks(std::move(residual), run, begin, end, places, found, intervention);
}

Tensor LanguageModel::run_blocks(Tensor residual, const BlockRun& run, int64_t begin, int64_t end,
                                 std::span<const SitePlace> places, std::vector<Tensor>* found,
                                 const Intervention* intervention) const {
  CHECK(0 <= begin && begin <= end && end <= sizes().layers, "{}: blocks {} to {} of {}", name_, begin, end,
        sizes().layers);
  for (const SitePlace& place : places) {
    CHECK(begin <= place.layer && place.layer < end, "{}: layer {} is not among blocks {} to {}", name_, place.layer,
          begin, end - 1);
  }
  check_intervention(intervention, begin, end);
  if (found != nullptr) found->assign(places.size(), Tensor());
  const auto angles = transformer_->prepare(*device_, run);
  for (int64_t layer = begin; layer < end; ++layer) {
    BlockSites sites = sites_of(layer, places, intervention);
    residual = transformer_->block(layer, std::move(residual), run, angles, sites);
    for (size_t i = 0; i < places.size(); ++i) {
      if (places[i].layer == layer) (*found)[i] = sites.values[static_cast<size_t>(places[i].site)];
    }
  }
  return residual;
}

Tensor LanguageModel::final_norm(const Tensor& residual) const {
  return transformer_->final_norm(residual, Dtype::f32);
}

Tensor LanguageModel::logits(const Tensor& residual) const {
  const PackedMatrix& output = transformer_->output_layer();
  return output.product(transformer_->final_norm(residual, output.input_dtype()));
}

std::vector<Tensor> LanguageModel::activations(const Tensor& ids, int64_t length,
                                               std::span<const SitePlace> places) const {
  std::vector<Tensor> found;
  run_blocks(embed(ids), length, 0, end_of(places), places, &found);
  return found;
}

std::vector<Tensor> LanguageModel::activations(const SharedTexts& texts, std::span<const SitePlace> places) const {
  check_length(static_cast<int64_t>(texts.row_at.size()), texts.length);
  std::vector<int32_t> positions;
  for (const int32_t place : texts.place_of) positions.push_back(place % static_cast<int32_t>(texts.length));
  const auto on_device = [&](const std::vector<int32_t>& values) {
    return Tensor::from(*device_, {static_cast<int64_t>(values.size())}, std::span(values));
  };
  const SharedRows shared = {on_device(texts.row_at), on_device(texts.place_of), on_device(positions)};
  BlockRun run;
  run.length = texts.length;
  run.shared = &shared;
  std::vector<Tensor> found;
  run_blocks(embed(tokens(texts.tokens)), run, 0, end_of(places), places, &found, nullptr);
  return found;
}

Tensor LanguageModel::next_token_loss(const Tensor& residual, std::span<const int32_t> ids, int64_t length) const {
  const int64_t rows = residual.rows();
  check_length(rows, length);
  CHECK(static_cast<int64_t>(ids.size()) == rows, "{}: {} tokens for {} rows", name_, ids.size(), rows);
  std::vector<int32_t> targets(static_cast<size_t>(rows), no_target);
  for (int64_t r = 0; r + 1 < rows; ++r) {
    if ((r + 1) % length != 0) targets[static_cast<size_t>(r)] = ids[static_cast<size_t>(r + 1)];
  }
  const Tensor target = Tensor::from(*device_, {rows}, targets);
  Writable losses = Tensor::empty(*device_, {rows}, Dtype::f32);
  for (int64_t begin = 0; begin < rows; begin += logits_rows) {
    const int64_t end = std::min(rows, begin + logits_rows);
    const Tensor some =
        cross_entropy(logits(residual.slice_rows(begin, end)), target.with_shape({rows, 1}).slice_rows(begin, end));
    device_->copy(losses.data<float>() + begin, some.raw(), static_cast<size_t>(some.bytes()));
  }
  return std::move(losses).freeze();
}

KeyValueCache LanguageModel::make_cache(int64_t capacity) const {
  CHECK(capacity > 0 && capacity <= sizes().context, "{}: a text of {} tokens; the model sees up to {}", name_,
        capacity, sizes().context);
  KeyValueCache cache;
  cache.capacity = capacity;
  for (int64_t layer = 0; layer < sizes().layers; ++layer) {
    cache.layers.push_back(Tensor::empty(*device_, {capacity, 2 * sizes().kv_columns}, Dtype::f32));
  }
  return cache;
}

Tensor LanguageModel::extend(KeyValueCache& cache, std::span<const int32_t> ids,
                             const Intervention* intervention) const {
  const auto count = static_cast<int64_t>(ids.size());
  CHECK(count > 0, "{}: no tokens to go on from", name_);
  CHECK(cache.length + count <= cache.capacity, "{}: {} tokens after {} in a cache of {}", name_, count, cache.length,
        cache.capacity);
  check_intervention(intervention, 0, sizes().layers);
  const BlockRun run = {count, cache.length, &cache};
  const auto angles = transformer_->prepare(*device_, run);
  Tensor residual = embed(tokens(ids));
  for (int64_t layer = 0; layer < sizes().layers; ++layer) {
    BlockSites sites = sites_of(layer, {}, intervention);
    residual = transformer_->block(layer, std::move(residual), run, angles, sites);
  }
  cache.length += count;
  return logits(residual.slice_rows(count - 1, count));
}

}  // namespace sae
