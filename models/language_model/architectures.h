#pragma once

#include <span>
#include <string>
#include <string_view>

#include "models/language_model/model_file.h"
#include "models/language_model/model_form.h"

namespace sae {

/// What GGUF and Hugging Face call one thing.
struct NamePair {
  std::string_view gguf, hugging_face;
};

/// One architecture that is supported: what it is called in both formats, and how a file says what it computes.
struct Architecture {
  std::string_view gguf;          ///< general.architecture
  std::string_view hugging_face;  ///< model_type
  std::string_view outermost;     ///< Hugging Face's first part of the names of tensors, which some files leave out
  std::string_view blocks;        ///< where GGUF says blk
  std::span<const NamePair> settings;
  std::span<const NamePair> tensors;
  /// Ends of the names of tensors that hold no weights, only constants of the program that wrote them.
  std::span<const std::string_view> constants;
  /// Throws, naming the setting, on what this program does not do: better refused than wrong.
  ModelForm (*describe)(const ModelFile& file);
};

/// Throws, with `place` in front and all supported names listed, where there is none of that name.
const Architecture& find_architecture(ModelFile::Format format, std::string_view name, std::string_view place);

}  // namespace sae
