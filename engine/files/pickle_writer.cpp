#include "engine/files/pickle_writer.h"

#include <vector>

#include "engine/files/pickle_opcodes.h"

namespace sae {

using namespace pickle;

namespace {

void put_number(std::string& bytes, uint64_t value, int count) {
  for (int i = 0; i < count; ++i) bytes += static_cast<char>((value >> (8 * i)) & 0xff);
}
void put_text(std::string& bytes, std::string_view text) {
  bytes += static_cast<char>(bin_unicode);
  put_number(bytes, text.size(), 4);
  bytes += text;
}
void put_integer(std::string& bytes, int64_t value) {
  bytes += static_cast<char>(long1);
  bytes += static_cast<char>(8);
  put_number(bytes, static_cast<uint64_t>(value), 8);
}
void put_integers(std::string& bytes, const std::vector<int64_t>& values) {
  bytes += static_cast<char>(mark);
  for (const int64_t value : values) put_integer(bytes, value);
  bytes += static_cast<char>(tuple);
}
void put_global(std::string& bytes, std::string_view module_and_name) {
  const size_t space = module_and_name.find(' ');
  bytes += static_cast<char>(global);
  bytes += module_and_name.substr(0, space);
  bytes += "\n";
  bytes += module_and_name.substr(space + 1);
  bytes += "\n";
}

}  // namespace

PickleWriter::PickleWriter() : bytes_{static_cast<char>(proto), 2, static_cast<char>(empty_dict)} {}

PickleWriter& PickleWriter::add(std::string_view key, const PickledTensor& tensor) {
  put_text(bytes_, key);
  put_global(bytes_, rebuild_tensor);
  bytes_ += static_cast<char>(mark);
  bytes_ += static_cast<char>(mark);
  put_text(bytes_, "storage");
  put_global(bytes_, std::string(torch_module) + tensor.storage_type);
  put_text(bytes_, tensor.key);
  put_text(bytes_, "cpu");
  put_integer(bytes_, tensor.storage_elements);
  bytes_ += static_cast<char>(tuple);
  bytes_ += static_cast<char>(bin_persistent_id);
  put_integer(bytes_, tensor.offset);
  put_integers(bytes_, tensor.shape);
  put_integers(bytes_, tensor.strides);
  bytes_ += static_cast<char>(new_false);
  put_global(bytes_, ordered_dict);
  bytes_ += {static_cast<char>(empty_tuple), static_cast<char>(reduce), static_cast<char>(tuple),
             static_cast<char>(reduce), static_cast<char>(set_item)};
  return *this;
}

PickleWriter& PickleWriter::add(std::string_view key, std::string_view text) {
  put_text(bytes_, key);
  put_text(bytes_, text);
  bytes_ += static_cast<char>(set_item);
  return *this;
}

PickleWriter& PickleWriter::add(std::string_view key, int64_t number) {
  put_text(bytes_, key);
  put_integer(bytes_, number);
  bytes_ += static_cast<char>(set_item);
  return *this;
}

PickleWriter& PickleWriter::add(std::string_view key, std::pair<std::string_view, int64_t> number,
                                std::pair<std::string_view, std::string_view> text) {
  put_text(bytes_, key);
  bytes_ += static_cast<char>(empty_dict);
  add(number.first, number.second);
  add(text.first, text.second);
  bytes_ += static_cast<char>(set_item);
  return *this;
}

std::string PickleWriter::finish() && {
  bytes_ += static_cast<char>(stop);
  return std::move(bytes_);
}

}  // namespace sae
