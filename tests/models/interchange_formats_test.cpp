// Each format by itself: what its own programs do with a file, and the conventions in which others write it.
#include <algorithm>
#include <cmath>

#include "engine/files/torch_file.h"
#include "models/interchange/autoencoder_parts.h"
#include "tests/models/interchange_autoencoders.h"

namespace sae {
namespace {

using namespace sae::testing;

// What SAELens 6 does with the files, written down again: layer_norm in, (x - b_dec) W_enc + b_enc, activation, W_dec,
// b_dec, layer_norm out.
TEST_F(Interchange, SaelensGivesOurLatentsFromRawRows) {
  for (const Activation activation : {Activation::topk, Activation::relu, Activation::gated, Activation::jump_relu}) {
    SCOPED_TRACE(name_of(activation));
    const LoadedAutoencoder loaded = make(activation);
    const std::string name(name_of(activation)), file = name + "/sae_weights.safetensors";
    write(name, loaded, AutoencoderFormat::saelens);
    const Matrix encoder = to_matrix(read(file, "W_enc")), decoder = to_matrix(read(file, "W_dec"));
    const auto row = [&](const char* tensor) { return to_matrix(read(file, tensor))[0]; };
    const bool gated = activation == Activation::gated;
    const Row bias = row("b_dec"), encoder_bias = row(gated ? "b_gate" : "b_enc");
    const Row scale = gated ? row("r_mag") : Row{}, magnitude = gated ? row("b_mag") : Row{};
    const Row threshold = activation == Activation::jump_relu ? row("threshold") : Row{};
    ASSERT_EQ(encoder.size(), size_t{width});
    ASSERT_EQ(decoder.size(), size_t{latents});
    Outputs theirs;
    for (const Row& x : to_matrix(raw_rows())) {
      double mean = 0, square = 0;
      for (const double value : x) mean += value / width;
      for (const double value : x) square += (value - mean) * (value - mean);
      const double deviation = std::sqrt(square / (width - 1));
      Row u(latents, 0.0), z(latents, 0.0);
      for (size_t j = 0; j < latents; ++j) {
        for (size_t i = 0; i < width; ++i) u[j] += ((x[i] - mean) / (deviation + 1e-5) - bias[i]) * encoder[i][j];
        z[j] = std::max(0.0, u[j] + encoder_bias[j]);
        if (gated) z[j] = z[j] > 0 ? std::max(0.0, std::exp(scale[j]) * u[j] + magnitude[j]) : 0;
        if (activation == Activation::jump_relu && z[j] <= threshold[j]) z[j] = 0;
      }
      if (activation == Activation::topk) {
        Row sorted = z;
        std::sort(sorted.begin(), sorted.end(), std::greater<>());
        for (double& value : z) value = value >= sorted[k - 1] ? value : 0;
      }
      Row y(width);
      for (size_t i = 0; i < width; ++i) {
        y[i] = bias[i];
        for (size_t j = 0; j < latents; ++j) y[i] += z[j] * decoder[j][i];
        y[i] = y[i] * deviation + mean;
      }
      theirs.latents.push_back(z);
      theirs.reconstructions.push_back(y);
    }
    expect_same(theirs, run(loaded.autoencoder));
  }
}

TEST_F(Interchange, SaelensConfiguration) {
  write("x", make(Activation::topk), AutoencoderFormat::saelens);
  const Json config = Json::read(folder_.path("x/cfg.json"));
  EXPECT_EQ(config.at("architecture").text(), "topk");
  EXPECT_EQ(config.at("d_in").integer(), width);
  EXPECT_EQ(config.at("d_sae").integer(), latents);
  EXPECT_EQ(config.at("k").integer(), k);  // a missing one would silently be 100
  EXPECT_EQ(config.at("dtype").text(), "float32");
  EXPECT_EQ(config.at("normalize_activations").text(), "layer_norm");
  EXPECT_TRUE(config.at("apply_b_dec_to_input").boolean());
  EXPECT_FALSE(config.at("rescale_acts_by_decoder_norm").boolean());
  EXPECT_EQ(config.at("metadata").at("hook_name").text(), "blocks.22.hook_resid_post");
  EXPECT_EQ(config.at("metadata").at("context_size").integer(), 64);
  EXPECT_TRUE(config.at("metadata").at("prepend_bos").boolean());
  LoadedAutoencoder of_neurons = make(Activation::relu);
  of_neurons.notes = {{"layer", "3"}, {"site", "mlp_hidden"}};
  write("y", of_neurons, AutoencoderFormat::saelens);
  const Json relu = Json::read(folder_.path("y/cfg.json"));
  EXPECT_EQ(relu.at("architecture").text(), "standard");
  EXPECT_FALSE(relu.has("k"));
  EXPECT_EQ(relu.at("metadata").at("hook_name").text(), "blocks.3.mlp.hook_post");
  EXPECT_FALSE(relu.at("metadata").at("prepend_bos").boolean());
}

// Folders as others write them: without our facts, other conventions.
TEST_F(Interchange, SaelensConventionsAreFolded) {
  const LoadedAutoencoder plain = make(Activation::topk, InputNormalisation::none);
  write("x", plain, AutoencoderFormat::saelens);
  const AutoencoderParts parts = take_apart(plain);
  const auto bare = [&](const std::string& name, AutoencoderParts changed, const std::string& key, const Json& value) {
    write(name, put_together(changed, *device_), AutoencoderFormat::saelens);
    set(name + "/cfg.json", key, value);
    Json metadata = Json::object();
    metadata.set("sae_lens_version", "6.18.0").set("hook_name", "blocks.3.hook_resid_mid").set("model_name", "gpt2");
    set(name + "/cfg.json", "metadata", metadata);
    return read_back(name);
  };
  AutoencoderParts moved = parts;
  move_pre_bias(moved, -1);
  const LoadedAutoencoder unsubtracted = bare("a", moved, "apply_b_dec_to_input", false);
  expect_same(run(unsubtracted.autoencoder), run(plain.autoencoder));
  EXPECT_EQ(note_of(unsubtracted.notes, "layer"), "3");
  EXPECT_EQ(note_of(unsubtracted.notes, "site"), "resid_mid");
  EXPECT_EQ(note_of(unsubtracted.notes, "model"), "") << "their name of a model is no title of ours";
  EXPECT_EQ(note_of(unsubtracted.notes, "model_name"), "gpt2");
  // Scaled by the decoder's norms while choosing, and back: latents in units of a unit decoder.
  AutoencoderParts unit = parts;
  scale_latents(unit, decoder_norms(parts));
  AutoencoderParts theirs = unit;
  std::vector<double> any;
  for (int64_t i = 0; i < latents; ++i) any.push_back(0.5 + 0.1 * static_cast<double>(i));
  scale_latents(theirs, any);  // decoder norms 1 / any
  expect_same(run(bare("b", theirs, "rescale_acts_by_decoder_norm", true).autoencoder),
              run(put_together(unit, *device_).autoencoder));
  // A factor that is not in the weights yet.
  AutoencoderParts twice = parts;
  scale_inputs(twice, 0.5);
  EXPECT_THAT([&] { bare("c", twice, "normalize_activations", "expected_average_only_in"); },
              ThrowsMessage<Error>(HasSubstr("activation_scaler.json")));
  folder_.write("c/activation_scaler.json", R"({"scaling_factor": 2.0})");
  expect_same(run(read_back("c").autoencoder), run(plain.autoencoder));
}

TEST_F(Interchange, SaelensBeforeSix) {
  const LoadedAutoencoder plain = make(Activation::topk, InputNormalisation::none);
  write("x", plain, AutoencoderFormat::saelens);
  folder_.write("x/cfg.json", R"({"d_in": 7, "d_sae": 12, "activation_fn_str": "topk", "activation_fn_kwargs": {"k": 3},
      "hook_point": "blocks.5.hook_mlp_out", "context_size": 128, "normalize_activations": false})");
  const LoadedAutoencoder back = read_back("x");
  expect_same(run(back.autoencoder), run(plain.autoencoder));
  EXPECT_EQ(note_of(back.notes, "site"), "mlp_out");
  EXPECT_EQ(note_of(back.notes, "context_length"), "128");
  set("x/cfg.json", "activation_fn_str", "tanh-relu");
  expect_refused("x", "'tanh-relu' is not supported");
}

TEST_F(Interchange, SaelensRefusals) {
  write("x", make(Activation::topk), AutoencoderFormat::saelens);
  const std::string file = "x/cfg.json", before = folder_.read(file);
  const auto refuses = [&](const char* key, const Json& value, const std::string& why) {
    set(file, key, value);
    expect_refused("x", why);
    folder_.write(file, before);
  };
  refuses("architecture", "transcoder", "the architecture 'transcoder' is not supported");
  refuses("architecture", "batchtopk", "save_inference_model");
  refuses("architecture", "jumprelu", "has no tensor 'threshold'");
  refuses("normalize_activations", "covariance_whitening", "'covariance_whitening' is not supported");
  refuses("d_in", 8, "tensor 'W_enc' is [7, 12], expected [8, 12]");
  refuses("d_sae", int64_t{1} << 60, "");
  refuses("d_sae", -1, "expected at least 1");
  refuses("k", 0, "1 <= k <= latents");
  refuses("k", Json(), "k");
  std::vector<NamedTensor> tensors;
  const SafetensorsFile stored(folder_.path("x/sae_weights.safetensors"));
  for (const std::string& name : stored.names()) tensors.push_back({name, stored.read(*device_, name)});
  tensors.push_back({"W_skip", Tensor::zeros(*device_, {width, width}, Dtype::f32)});
  write_safetensors(folder_.path("x/sae_weights.safetensors"), tensors, {}, IfExists::replace);
  expect_refused("x", "holds a tensor 'W_skip'");
  std::vector<float> values(latents, 0.0f);
  values[5] = NAN;
  tensors.pop_back();
  for (NamedTensor& one : tensors) {
    if (one.name == "b_enc") one.tensor = Tensor::from(*device_, {latents}, values);
  }
  write_safetensors(folder_.path("x/sae_weights.safetensors"), tensors, {}, IfExists::replace);
  expect_refused("x", "'encoder_bias' holds NaN or infinity at element 5");
}

// sparsify: top-k of relu((x - b_dec) encoder.weight^T + encoder.bias), on rows that were normalised before.
TEST_F(Interchange, SparsifyTensorsAndConfiguration) {
  const LoadedAutoencoder loaded = make(Activation::topk);
  write("x", loaded, AutoencoderFormat::sparsify);
  EXPECT_THAT(SafetensorsFile(folder_.path("x/sae.safetensors")).names(),
              ::testing::UnorderedElementsAre("encoder.weight", "encoder.bias", "W_dec", "b_dec"));
  EXPECT_EQ(read("x/sae.safetensors", "encoder.weight").to_vector<float>(),
            loaded.autoencoder.encoder().value().to_vector<float>());
  EXPECT_EQ(read("x/sae.safetensors", "W_dec").to_vector<float>(),
            loaded.autoencoder.decoder().value().to_vector<float>());
  const Json config = Json::read(folder_.path("x/cfg.json"));
  EXPECT_EQ(config.at("num_latents").integer(), latents);
  EXPECT_EQ(config.at("k").integer(), k);
  EXPECT_EQ(config.at("sae_cpp").at("input_normalisation").text(), "mean over the width removed, unit norm");
  // as little as sparsify itself needs; it takes rows as they are
  folder_.write("x/cfg.json", R"({"d_in": 7, "k": 3, "num_latents": 12})");
  EXPECT_EQ(read_back("x").autoencoder.options().normalisation, InputNormalisation::none);
  folder_.write("x/cfg.json", R"({"d_in": 7, "k": 3, "num_latents": 0, "expansion_factor": 2})");
  expect_refused("x", "tensor 'encoder.weight' is [12, 7], expected [14, 7]");
  folder_.write("x/cfg.json", R"({"k": 3, "num_latents": 12})");
  expect_refused("x", "d_in");
  for (const auto& [key, value, why] : {std::tuple{"transcode", Json(true), "it is a transcoder"},
                                        {"skip_connection", Json(true), "skip connections"},
                                        {"activation", Json("groupmax"), "'groupmax' is not supported"}}) {
    folder_.write("x/cfg.json", R"({"d_in": 7, "k": 3, "num_latents": 12})");
    set("x/cfg.json", key, value);
    expect_refused("x", why);
  }
}

TEST_F(Interchange, DictionaryLearningConventions) {
  const LoadedAutoencoder relu = make(Activation::relu, InputNormalisation::none);
  write("x", relu, AutoencoderFormat::dictionary_learning);
  EXPECT_EQ(Json::read(folder_.path("x/config.json")).at("trainer").at("dict_class").text(), "AutoEncoder");
  // The same as an AutoEncoderNew, which does not subtract its bias from the input.
  AutoencoderParts moved = take_apart(relu);
  move_pre_bias(moved, -1);
  write_torch_file(folder_.path("x/ae.pt"),
                   {{"encoder.weight", moved.encoder},
                    {"encoder.bias", moved.encoder_bias},
                    {"decoder.weight", transposed(moved.decoder)},
                    {"decoder.bias", moved.pre_bias}},
                   {}, IfExists::replace);
  folder_.write("x/config.json", R"({"trainer": {"dict_class": "AutoEncoderNew", "lm_name": "pythia"}})");
  const LoadedAutoencoder back = read_back("x");
  expect_same(run(back.autoencoder), run(relu.autoencoder));
  EXPECT_EQ(note_of(back.notes, "model_name"), "pythia");
  folder_.write("x/config.json", R"({"trainer": {"dict_class": "AutoEncoder"}})");
  expect_refused("x", "has no tensor 'bias'");
  folder_.write("x/config.json", R"({"trainer": {"dict_class": "CrossCoder"}})");
  expect_refused("x", "'CrossCoder' is not supported; AutoEncoder, ");
  write("y", make(Activation::topk), AutoencoderFormat::dictionary_learning);
  folder_.write("y/config.json", R"({"trainer": {"dict_class": "AutoEncoderTopK", "k": 4}})");
  expect_refused("y", "config.json says that k is 4, ae.pt says 3");
  // Other groups than ours: only training knows the difference.
  write("z", make(Activation::matryoshka), AutoencoderFormat::dictionary_learning);
  const TorchFile file(folder_.path("z/ae.pt"));
  std::vector<NamedTensor> tensors;
  for (const std::string& name : file.names()) tensors.push_back({name, file.read(*device_, name)});
  for (NamedTensor& one : tensors) {
    if (one.name == "group_sizes") one.tensor = Tensor::from(*device_, {2}, std::vector<int64_t>{4, 8});
  }
  TorchExtras scalars;
  scalars.scalars = {"k", "threshold"};
  write_torch_file(folder_.path("z/ae.pt"), tensors, scalars, IfExists::replace);
  folder_.write("z/config.json", R"({"trainer": {"dict_class": "MatryoshkaBatchTopKSAE"}})");
  EXPECT_EQ(read_back("z").autoencoder.options().activation, Activation::batch_topk);
}

TEST_F(Interchange, OpenaiFile) {
  write("x.pt", make(Activation::topk), AutoencoderFormat::openai);
  const TorchFile file(folder_.path("x.pt"));
  EXPECT_THAT(file.names(),
              ::testing::ElementsAre("pre_bias", "latent_bias", "encoder.weight", "decoder.weight", "stats_last_nonzero",
                                   "latents_activation_frequency", "latents_mean_square"));
  EXPECT_EQ(file.text("activation"), "TopK");
  EXPECT_EQ(file.integer("activation_state_dict.k"), k);
  EXPECT_EQ(file.text("activation_state_dict.postact_fn"), "ReLU");
  const auto refuses = [&](Activation activation, InputNormalisation how) {
    const LoadedAutoencoder loaded = make(activation, how);
    EXPECT_THAT([&] { write("y.pt", loaded, AutoencoderFormat::openai); },
                ThrowsMessage<Error>(HasSubstr("choose saelens")));
  };
  refuses(Activation::topk, InputNormalisation::none);
  refuses(Activation::relu, InputNormalisation::centred_unit_norm);
  TorchExtras identity;
  identity.text_key = "activation";
  identity.text = "Identity";
  std::vector<NamedTensor> tensors;
  for (const std::string& name : file.names()) tensors.push_back({name, file.read(*device_, name)});
  write_torch_file(folder_.path("z.pt"), tensors, identity, IfExists::refuse);
  expect_refused("z.pt", "the activation 'Identity' is not supported");
}

}  // namespace
}  // namespace sae
