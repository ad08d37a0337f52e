#pragma once

#include <string>

#include "experiments/common/options.h"
#include "ops/matmul/matmul.h"

namespace sae {

/// Where experiments/fetch.sh puts the subject model: ${XDG_CACHE_HOME:-~/.cache}/sae.cpp/models/...
std::string fetched_model_path();

/// Declares --model and --threads, and --precision where products are made.
void declare_model(Options& options, bool with_precision = true);
/// --model, or the fetched model; throws, saying how to get one, where the file is missing.
std::string model_path(const Options& options);
/// --precision: f32 or bf16.
Precision model_precision(const Options& options);
/// Applies --threads.
void apply_threads(const Options& options);

}  // namespace sae
