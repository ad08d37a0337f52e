#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "models/language_model/model_file.h"
#include "models/language_model/model_form.h"

namespace sae {

// What several architectures read from their files alike. Everything throws, naming file and setting, on what is
// missing, out of range or not supported.

/// Extents, heads, norms and output. Is the output tied to the embedding? GGUF leaves it out then; a folder may say, or
/// it is as usual for the architecture.
ModelForm common_form(const ModelFile& file, NormKind norm, bool tied_unless_said = false);

/// The activation that the file names as Hugging Face's programs spell it, or the usual one; gated if that is.
FeedForwardKind activation(const ModelFile& file, FeedForwardKind usual);

/// The frequencies of `dimensions` elements of a head, with the scaling that the file asks for: none, linear or llama3.
std::vector<double> rotary_of(const ModelFile& file, int64_t dimensions);

void refuse_if_set(const ModelFile& file, std::string_view setting);

}  // namespace sae
