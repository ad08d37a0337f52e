#include "models/language_model/gguf_header.h"

namespace sae {
namespace {

// Kinds of metadata values, as the file numbers them.
enum Kind : uint32_t { u8, i8, u16, i16, u32, i32, f32, boolean, string, array, u64, i64, f64 };

int64_t bytes_of(uint32_t kind) {
  switch (kind) {
    case u8:
    case i8:
    case boolean:
      return 1;
    case u16:
    case i16:
      return 2;
    case u32:
    case i32:
    case f32:
      return 4;
    case u64:
    case i64:
    case f64:
      return 8;
    default:
      return 0;
  }
}

template <class T>
double read_as(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof(T));
  return static_cast<double>(value);
}

double number_at(uint32_t kind, const std::byte* from) {
  switch (kind) {
    case i8:
      return read_as<int8_t>(from);
    case u16:
      return read_as<uint16_t>(from);
    case i16:
      return read_as<int16_t>(from);
    case u32:
      return read_as<uint32_t>(from);
    case i32:
      return read_as<int32_t>(from);
    case f32:
      return read_as<float>(from);
    case u64:
      return read_as<uint64_t>(from);
    case i64:
      return read_as<int64_t>(from);
    case f64:
      return read_as<double>(from);
    default:
      return read_as<uint8_t>(from);
  }
}

}  // namespace

std::vector<double> GgufNumbers::numbers() const {
  std::vector<double> result;
  const auto size = static_cast<size_t>(bytes_of(kind));
  result.reserve(bytes.size() / size);
  for (size_t at = 0; at < bytes.size(); at += size) result.push_back(number_at(kind, bytes.data() + at));
  return result;
}

void GgufHeader::need(uint64_t bytes, const char* what) const {
  if (bytes > left()) {
    refuse(at_, "the file ends here, within its header, where {} was expected; it is truncated or no GGUF file", what);
  }
}

std::string_view GgufHeader::text(const char* what, uint64_t longest) {
  const uint64_t begin = at_, length = scalar<uint64_t>(what);
  if (length > longest) refuse(begin, "{} of {} bytes, where at most {} are allowed", what, length, longest);
  if (length > left()) refuse(begin, "{} of {} bytes, but the file ends after {}", what, length, left());
  const auto* data = reinterpret_cast<const char*>(bytes_.data() + at_);
  at_ += length;
  return {data, static_cast<size_t>(length)};
}

void GgufHeader::check_count(uint64_t begin, const char* what, uint64_t number, uint64_t bytes_each) const {
  if (number > left() / bytes_each) {
    refuse(begin, "{} {}, which need at least {} bytes each, but the file has {} bytes left", number, what, bytes_each,
           left());
  }
}

uint64_t GgufHeader::count(const char* what, uint64_t bytes_each) {
  const uint64_t begin = at_, number = scalar<uint64_t>(what);
  check_count(begin, what, number, bytes_each);
  return number;
}

bool GgufHeader::truth(std::string_view key) {
  const auto byte = scalar<uint8_t>("a truth value");
  if (byte > 1) refuse(at_ - 1, "'{}' is {}, where 0 or 1 was expected", key, byte);
  return byte == 1;
}

GgufValue GgufHeader::list(std::string_view key, bool keep_texts) {
  const uint64_t begin = at_;
  const auto kind = scalar<uint32_t>("the kind of a list");
  const auto number = scalar<uint64_t>("the length of a list");
  if (kind == string) {
    check_count(begin, "texts in a list", number, sizeof(uint64_t));
    GgufTexts result;
    if (keep_texts) result.texts.reserve(number);
    for (uint64_t i = 0; i < number; ++i) {
      const std::string_view one = text("a text of a list");
      if (keep_texts) result.texts.push_back(one);
    }
    return result;
  }
  const int64_t size = bytes_of(kind);
  if (size == 0) refuse(begin, "'{}' is a list of values of kind {}, which is not supported", key, kind);
  check_count(begin, "numbers in a list", number, static_cast<uint64_t>(size));
  const uint64_t bytes = number * static_cast<uint64_t>(size);
  at_ += bytes;
  return GgufNumbers{kind, bytes_.subspan(at_ - bytes, bytes)};
}

GgufValue GgufHeader::entry(bool keep_texts) {
  const std::string_view key = this->key();
  const auto kind = scalar<uint32_t>("the kind of a value");
  switch (kind) {
    case u8:
      return static_cast<int64_t>(scalar<uint8_t>("a value"));
    case i8:
      return static_cast<int64_t>(scalar<int8_t>("a value"));
    case u16:
      return static_cast<int64_t>(scalar<uint16_t>("a value"));
    case i16:
      return static_cast<int64_t>(scalar<int16_t>("a value"));
    case u32:
      return static_cast<int64_t>(scalar<uint32_t>("a value"));
    case i32:
      return static_cast<int64_t>(scalar<int32_t>("a value"));
    case u64: {
      const uint64_t begin = at_, number = scalar<uint64_t>("a value");
      if (number > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
        refuse(begin, "'{}' is {}, which no quantity of a model is", key, number);
      }
      return static_cast<int64_t>(number);
    }
    case i64:
      return scalar<int64_t>("a value");
    case f32:
      return static_cast<double>(scalar<float>("a value"));
    case f64:
      return scalar<double>("a value");
    case boolean:
      return truth(key);
    case string:
      return text("a text");
    case array:
      return list(key, keep_texts);
    default:
      refuse(at_ - sizeof(uint32_t), "'{}' has a value of kind {}, which the format does not have", key, kind);
  }
}

}  // namespace sae
