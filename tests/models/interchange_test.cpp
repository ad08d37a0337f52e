// What holds for every format of autoencoders.
#include <filesystem>

#include "models/interchange/autoencoder_parts.h"
#include "tests/models/interchange_autoencoders.h"
#include "tests/support/damage.h"

namespace sae {
namespace {

using namespace sae::testing;

TEST_F(Interchange, RoundTripsKeepActivationNormalisationLatentsAndNotes) {
  int written = 0;
  for (const AutoencoderFormat format : {AutoencoderFormat::saelens, AutoencoderFormat::dictionary_learning,
                                         AutoencoderFormat::sparsify, AutoencoderFormat::openai}) {
    for (const Activation activation : interchanged) {
      for (const InputNormalisation how :
           {InputNormalisation::none, InputNormalisation::unit_norm, InputNormalisation::centred_unit_norm}) {
        const bool topk = activation == Activation::topk || activation == Activation::multi_topk;
        if (format == AutoencoderFormat::sparsify && !topk) continue;
        if (format == AutoencoderFormat::openai &&
            !(activation == Activation::topk && how == InputNormalisation::centred_unit_norm) &&
            !(activation == Activation::relu && how == InputNormalisation::none)) {
          continue;
        }
        SCOPED_TRACE(fmt::format("{} {} {}", name_of(format), name_of(activation), name_of(how)));
        const LoadedAutoencoder loaded = make(activation, how);
        const std::string name = fmt::format("{}{}", written++, format == AutoencoderFormat::openai ? ".pt" : "");
        write(name, loaded, format);
        EXPECT_EQ(find_autoencoder_format(folder_.path(name)), format);
        const LoadedAutoencoder back = read_back(name);
        EXPECT_EQ(back.autoencoder.options().activation, activation);
        EXPECT_EQ(back.autoencoder.options().normalisation, how);
        if (facts_of(activation).chooses_k) {
          EXPECT_EQ(back.autoencoder.options().k, k);
        }
        expect_same(run(back.autoencoder), run(loaded.autoencoder));
        EXPECT_EQ(note_of(back.notes, "converted_from"), name_of(format));
        if (format == AutoencoderFormat::openai) continue;  // has no place for them
        for (const auto& [key, text] : loaded.notes) EXPECT_EQ(note_of(back.notes, key), text) << key;
      }
    }
  }
  EXPECT_EQ(written, 3 * 7 * 2 + 3 * 2 + 2);
}

TEST_F(Interchange, WhatWasReadIsWrittenAsOurs) {
  write("theirs", make(Activation::gated), AutoencoderFormat::saelens);
  const LoadedAutoencoder theirs = read_back("theirs");
  write("ours", theirs, AutoencoderFormat::sae_cpp);
  const LoadedAutoencoder ours = read_back("ours");
  expect_same(run(ours.autoencoder), run(theirs.autoencoder));
  EXPECT_EQ(note_of(ours.notes, "converted_from"), "saelens");
  EXPECT_THAT([&] { write("again", ours, AutoencoderFormat::sae_cpp); },
              ThrowsMessage<Error>(HasSubstr("in our own format already")));
}

TEST_F(Interchange, RefusesWhatAFormatCannotExpress) {
  const auto refuses = [&](Activation activation, AutoencoderFormat format, const char* why) {
    EXPECT_THAT([&] { write("x", make(activation), format); }, ThrowsMessage<Error>(HasSubstr(why)));
  };
  refuses(Activation::relu, AutoencoderFormat::sparsify, "choose saelens");
  refuses(Activation::sigmoid, AutoencoderFormat::saelens, "no architecture for sigmoid");
  refuses(Activation::prolu, AutoencoderFormat::dictionary_learning, "no class for prolu");
  refuses(Activation::gated, AutoencoderFormat::openai, "this autoencoder is gated");
  LoadedAutoencoder unmeasured = make(Activation::batch_topk);
  unmeasured.autoencoder.extra("threshold").assign(Tensor::scalar(*device_, 0.0f));
  EXPECT_THAT([&] { write("x", unmeasured, AutoencoderFormat::saelens); },
              ThrowsMessage<Error>(HasSubstr("never measured")));
  EXPECT_EQ(folder_.entries(), 0);
  const LoadedAutoencoder loaded = make(Activation::topk);
  write("x", loaded, AutoencoderFormat::saelens);
  EXPECT_THAT([&] { write("x", loaded, AutoencoderFormat::saelens); },
              ThrowsMessage<Error>(HasSubstr("exists already")));
  EXPECT_NO_THROW(write_autoencoder(folder_.path("x"), loaded, AutoencoderFormat::saelens, IfExists::replace));
  folder_.write("file", "x");
  EXPECT_THROW(write("file", loaded, AutoencoderFormat::saelens), Error);
  EXPECT_THAT([] { parse_autoencoder_format("dl"); },
              ThrowsMessage<Error>(HasSubstr("sae.cpp|saelens|sparsify|dictionary-learning|openai")));
  std::filesystem::create_directory(folder_.path("empty"));
  expect_refused("empty", "holds no autoencoder: none of autoencoder.safetensors, sae_weights.safetensors");
  expect_refused("nothing", "does not exist");
}

TEST_F(Interchange, DamagedFoldersAreRefusedOrRead) {
  for (const auto& [format, file] : {std::pair{AutoencoderFormat::saelens, "cfg.json"},
                                     {AutoencoderFormat::sparsify, "cfg.json"},
                                     {AutoencoderFormat::dictionary_learning, "config.json"},
                                     {AutoencoderFormat::dictionary_learning, "ae.pt"}}) {
    const std::string name(name_of(format)), path = name + "/" + file;
    if (!folder_.has(name)) write(name, make(Activation::topk), format);
    const std::string whole = folder_.read(path);
    const ReadAll read = [&](const std::string& bytes) {
      folder_.write(path, bytes);
      return std::string(name_of(read_back(name).autoencoder.options().activation));
    };
    expect_survives_edits(read, whole, 1, 300);
    folder_.write(path, whole);
  }
}

TEST_F(Interchange, DecodersOfUnitLength) {
  AutoencoderParts relu = take_apart(make(Activation::jump_relu, InputNormalisation::none));
  const Outputs before = run(put_together(relu, *device_).autoencoder);
  make_decoder_unit(relu);
  for (const double norm : decoder_norms(relu)) EXPECT_NEAR(norm, 1, 1e-6);
  expect_near(run(put_together(relu, *device_).autoencoder).reconstructions, before.reconstructions, 1e-5);
  AutoencoderParts topk = take_apart(make(Activation::topk, InputNormalisation::none));
  EXPECT_THAT([&] { make_decoder_unit(topk); }, ThrowsMessage<Error>(HasSubstr("would change which latents")));
  AutoencoderParts chosen = take_apart(make(Activation::batch_topk, InputNormalisation::none));
  std::vector<double> norms = decoder_norms(chosen);
  scale_latents(chosen, norms);  // unit rows; the threshold follows the first
  scale_latents(chosen, std::vector<double>(latents, 0.25));
  const Outputs quarter = run(put_together(chosen, *device_).autoencoder);
  make_decoder_unit(chosen);
  for (const double norm : decoder_norms(chosen)) EXPECT_NEAR(norm, 1, 1e-6);
  expect_near(run(put_together(chosen, *device_).autoencoder).reconstructions, quarter.reconstructions, 1e-5);
}

}  // namespace
}  // namespace sae
