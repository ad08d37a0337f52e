#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/files/activation_shard.h"
#include "experiments/common/activation_data.h"
#include "models/autoencoder/autoencoder_file.h"
#include "models/language_model/language_model.h"

namespace sae {

/// Which activations an autoencoder was trained on, as its file says; the defaults where it says nothing.
struct Subject {
  std::string model;  ///< the language model's title; empty: not said
  SitePlace place;
  int64_t context_length = 64;
  std::optional<bool> beginning;  ///< did every context start with the beginning-of-text token?
  friend bool operator==(const Subject& a, const Subject& b) {
    return a.model == b.model && a.place.layer == b.place.layer && a.place.site == b.place.site &&
           a.context_length == b.context_length && a.beginning == b.beginning;
  }
};
Subject subject_of(const LoadedAutoencoder& loaded, const LanguageModel& model);

/// Did every context of a store start with the beginning-of-text token? What its note "beginning" says.
bool contexts_have_beginning(const StoreDescription& store);

/// Throws, naming the file, where an autoencoder does not fit this model: other activations than the model's, another
/// width, a block that the model does not have.
void check_subject(const std::string& path, const LoadedAutoencoder& loaded, const LanguageModel& model);

/// load_autoencoder, on the device of `rows`. Throws, naming the file, where it reads rows of another width.
LoadedAutoencoder load_autoencoder(const std::string& path, const SplitRows& rows);

/// The autoencoder files that the arguments name: a file is itself; a run's folder its autoencoder.safetensors; a
/// sweep's folder those of the whole runs in its results.csv, in its order. Throws where one names none, or two have
/// one name.
std::vector<std::string> find_autoencoders(const std::vector<std::string>& paths);

/// What to call an autoencoder: the folder that holds it, or else the file's own name.
std::string autoencoder_name(const std::string& path);

/// The explanations of an autoencoder of that name in a folder of several: FOLDER/NAME/explanations.jsonl; where it is
/// the `single` one that is asked about, FOLDER/explanations.jsonl serves too. Empty where there are none.
std::string find_explanations(const std::string& folder, const std::string& name, bool single);

}  // namespace sae
