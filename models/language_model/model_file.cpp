#include "models/language_model/model_file.h"

#include <fmt/format.h>

#include <filesystem>

#include "engine/error.h"
#include "models/language_model/dequantise.h"

namespace sae {

void StoredTensor::read(int64_t row, int64_t begin, int64_t end, float* to) const {
  const int64_t block = quantisation->block_elements;
  CHECK(begin % block == 0 && (end - begin) % block == 0, "{}: tensor '{}' is stored as {}, in blocks of {} elements",
        file, name, stored_as, block);
  const int64_t first_block = (row * shape.cols() + begin) / block;
  quantisation->decode(bytes.data() + first_block * quantisation->block_bytes, (end - begin) / block, to);
}

std::shared_ptr<const ModelFile> ModelFile::open(const std::string& path) {
  return std::filesystem::is_directory(path) ? open_hugging_face_folder(path) : open_gguf_model(path);
}

std::string ModelFile::where(std::string_view setting) const {
  return fmt::format("{}: '{}'", settings_file_, setting_name(setting));
}

template <class T>
T ModelFile::expect(std::string_view setting, const char* kind) const {
  const std::optional<Setting> found = find_setting(setting);
  CHECK(found.has_value(), "{} is missing", where(setting));
  const T* value = std::get_if<T>(&*found);
  CHECK(value != nullptr, "{} is not {}", where(setting), kind);
  return *value;
}

int64_t ModelFile::integer(std::string_view setting) const { return expect<int64_t>(setting, "a whole number"); }
bool ModelFile::boolean(std::string_view setting) const { return expect<bool>(setting, "a truth value"); }
std::string ModelFile::text(std::string_view setting) const { return expect<std::string>(setting, "a text"); }
std::vector<std::string> ModelFile::texts(std::string_view setting) const {
  return expect<std::vector<std::string>>(setting, "a list of texts");
}
double ModelFile::number(std::string_view setting) const {
  const std::optional<Setting> found = find_setting(setting);
  if (found.has_value() && std::holds_alternative<int64_t>(*found)) return static_cast<double>(integer(setting));
  return expect<double>(setting, "a number");
}

int64_t ModelFile::size(std::string_view setting) const {
  const int64_t value = integer(setting);
  constexpr int64_t largest = 1 << 24;
  CHECK(value > 0 && value <= largest, "{} is {}; expected 1 to {}", where(setting), value, largest);
  return value;
}

const StoredTensor* ModelFile::find_tensor(std::string_view tensor) const {
  const auto found = tensors_.find(tensor_name(tensor));
  return found == tensors_.end() ? nullptr : &found->second;
}

const StoredTensor& ModelFile::tensor(std::string_view tensor, const Shape& expected) const {
  const StoredTensor* found = find_tensor(tensor);
  CHECK(found != nullptr, "{}: the tensor '{}' is missing", name_, tensor_name(tensor));
  CHECK(found->shape == expected, "{}: tensor '{}' (at byte {}) is {}, where {} for {}", found->file, found->name,
        found->offset, found->shape.to_string(), format() == Format::gguf ? "the metadata ask" : "config.json asks",
        expected.to_string());
  CHECK(found->quantisation != nullptr,
        "{}: tensor '{}' (at byte {}) is stored as {}, which is not supported; supported: {}", found->file, found->name,
        found->offset, found->stored_as, supported_quantisations());
  return *found;
}

}  // namespace sae
