#pragma once

#include <optional>
#include <string>

#include "experiments/common/options.h"
#include "models/language_model/tokenizer.h"
#include "ops/matmul/matmul.h"

namespace sae {

/// A place in the cache into which experiments/fetch.sh puts things: ${XDG_CACHE_HOME:-~/.cache}/sae.cpp/NAME.
std::string fetched_path(const std::string& name);
/// The subject model there.
std::string fetched_model_path();

/// Declares --model and --threads, and --precision where products are made.
void declare_model(Options& options, bool with_precision = true);
/// --model, or the fetched model; throws, saying how to get one, where the file is missing.
std::string model_path(const Options& options);
/// --precision: f32 or bf16.
Precision model_precision(const Options& options);
/// Declares --bos: whether the model's beginning-of-text token stands before `what` ("every context", say).
void declare_beginning(Options& options, const std::string& what);
/// --bos: what it says, or, by default, `learnt`, how the activations of an autoencoder were made, or else what the
/// model's files say. Throws where there is no such token to put.
bool wants_beginning(const Options& options, const Tokenizer& tokenizer, std::optional<bool> learnt = {});
/// --model's tokenizer alone: of a GGUF file, or of a Hugging Face folder.
Tokenizer open_tokenizer(const std::string& path);
/// Applies --threads.
void apply_threads(const Options& options);

}  // namespace sae
