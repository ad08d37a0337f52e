#include "models/interchange/formats.h"

#include <fmt/format.h>

#include <filesystem>

#include "engine/error.h"
#include "models/interchange/foreign_formats.h"

namespace sae {
namespace {

namespace fs = std::filesystem;

constexpr AutoencoderFormat all_formats[] = {AutoencoderFormat::sae_cpp, AutoencoderFormat::saelens,
                                             AutoencoderFormat::sparsify, AutoencoderFormat::dictionary_learning,
                                             AutoencoderFormat::openai};

/// By which file in a folder it is known; openai's is no folder.
std::string_view file_in_folder(AutoencoderFormat format) {
  switch (format) {
    case AutoencoderFormat::sae_cpp:
      return "autoencoder.safetensors";
    case AutoencoderFormat::saelens:
      return "sae_weights.safetensors";
    case AutoencoderFormat::sparsify:
      return "sae.safetensors";
    case AutoencoderFormat::dictionary_learning:
      return "ae.pt";
    case AutoencoderFormat::openai:
      return "";
  }
  fail("autoencoder format: unknown value {}", static_cast<int>(format));
}

/// A file of a folder stands for the folder.
std::string folder_of(const std::string& path) {
  if (fs::is_directory(path)) return path;
  const std::string parent = fs::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

AutoencoderParts read_parts(const std::string& path, AutoencoderFormat format) {
  switch (format) {
    case AutoencoderFormat::saelens:
      return read_saelens(folder_of(path));
    case AutoencoderFormat::sparsify:
      return read_sparsify(folder_of(path));
    case AutoencoderFormat::dictionary_learning:
      return read_dictionary_learning(folder_of(path));
    case AutoencoderFormat::openai:
      return read_openai(path);
    case AutoencoderFormat::sae_cpp:
      break;
  }
  fail("autoencoder format: unknown value {}", static_cast<int>(format));
}

}  // namespace

std::string_view name_of(AutoencoderFormat format) {
  switch (format) {
    case AutoencoderFormat::sae_cpp:
      return "sae.cpp";
    case AutoencoderFormat::saelens:
      return "saelens";
    case AutoencoderFormat::sparsify:
      return "sparsify";
    case AutoencoderFormat::dictionary_learning:
      return "dictionary-learning";
    case AutoencoderFormat::openai:
      return "openai";
  }
  fail("autoencoder format: unknown value {}", static_cast<int>(format));
}

std::string autoencoder_format_names() {
  std::string names;
  for (const AutoencoderFormat format : all_formats)
    names += fmt::format("{}{}", names.empty() ? "" : "|", name_of(format));
  return names;
}

AutoencoderFormat parse_autoencoder_format(std::string_view text) {
  for (const AutoencoderFormat format : all_formats) {
    if (text == name_of(format)) return format;
  }
  fail("expected the format {}, got '{}'", autoencoder_format_names(), text);
}

AutoencoderFormat find_autoencoder_format(const std::string& path) {
  CHECK(fs::exists(path), "'{}' does not exist", path);
  const bool is_folder = fs::is_directory(path);
  std::string looked_for;
  for (const AutoencoderFormat format : all_formats) {
    const std::string_view file = file_in_folder(format);
    if (file.empty()) continue;
    if (is_folder ? fs::exists(fs::path(path) / file) : fs::path(path).filename() == file) return format;
    looked_for += fmt::format("{}{}", looked_for.empty() ? "" : ", ", file);
  }
  CHECK(!is_folder, "'{}' holds no autoencoder: none of {} is in it", path, looked_for);
  return fs::path(path).extension() == ".pt" ? AutoencoderFormat::openai : AutoencoderFormat::sae_cpp;
}

LoadedAutoencoder read_autoencoder(const std::string& path, Device& device) {
  const AutoencoderFormat format = find_autoencoder_format(path);
  if (format == AutoencoderFormat::sae_cpp) {
    const bool is_folder = fs::is_directory(path);
    return load_autoencoder(is_folder ? path + "/" + std::string(file_in_folder(format)) : path, device);
  }
  try {
    return put_together(read_parts(path, format), device);
  } catch (const Error& error) {
    fail("{}, read as {}: {}", path, name_of(format), error.what());
  }
}

void write_autoencoder(const std::string& path, const LoadedAutoencoder& loaded, AutoencoderFormat format,
                       IfExists if_exists) {
  switch (format) {
    case AutoencoderFormat::sae_cpp: {
      CHECK(note_of(loaded.notes, "kind").empty(), "{}: the autoencoder is in our own format already", path);
      return save_autoencoder(path, loaded.autoencoder, loaded.notes, if_exists);
    }
    case AutoencoderFormat::saelens:
      return write_saelens(path, take_apart(loaded), if_exists);
    case AutoencoderFormat::sparsify:
      return write_sparsify(path, take_apart(loaded), if_exists);
    case AutoencoderFormat::dictionary_learning:
      return write_dictionary_learning(path, take_apart(loaded), if_exists);
    case AutoencoderFormat::openai:
      return write_openai(path, take_apart(loaded), if_exists);
  }
  fail("autoencoder format: unknown value {}", static_cast<int>(format));
}

}  // namespace sae
