#include "models/language_model/utf8.h"

#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>

#include <algorithm>
#include <cstdint>

#include "engine/error.h"

namespace sae {

size_t character_length(std::string_view text) {
  const auto byte = [&](size_t i) { return i < text.size() ? static_cast<uint8_t>(text[i]) : 0; };
  const auto follows = [&](size_t i) { return (byte(i) & 0xc0) == 0x80; };
  const int first = byte(0), second = byte(1);
  if (first < 0x80) return text.empty() ? 0 : 1;
  if (first >= 0xc2 && first <= 0xdf) return follows(1) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    const bool overlong = first == 0xe0 && second < 0xa0, surrogate = first == 0xed && second > 0x9f;
    return follows(1) && follows(2) && !overlong && !surrogate ? 3 : 0;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    const bool overlong = first == 0xf0 && second < 0x90, beyond = first == 0xf4 && second > 0x8f;
    return follows(1) && follows(2) && follows(3) && !overlong && !beyond ? 4 : 0;
  }
  return 0;
}

std::string compose(std::string_view text) {
  std::string composed;
  // ICU would replace invalid bytes: it sees only what lies between them.
  while (!text.empty()) {
    size_t valid = 0;
    while (const size_t length = character_length(text.substr(valid))) valid += length;
    if (valid > 0) {
      UErrorCode error = U_ZERO_ERROR;
      const icu::Normalizer2* form = icu::Normalizer2::getNFCInstance(error);
      CHECK(U_SUCCESS(error) && valid <= INT32_MAX, "tokenizer: ICU gives error {} for a text of {} bytes",
            u_errorName(error), valid);
      icu::StringByteSink<std::string> sink(&composed);
      form->normalizeUTF8(0, icu::StringPiece(text.data(), static_cast<int32_t>(valid)), sink, nullptr, error);
      CHECK(U_SUCCESS(error), "tokenizer: ICU gives error {} for a text of {} bytes", u_errorName(error), valid);
    }
    const size_t end = std::min(valid + 1, text.size());
    composed += text.substr(valid, end - valid);
    text.remove_prefix(end);
  }
  return composed;
}

}  // namespace sae
