#include "models/language_model/shared_texts.h"

#include <algorithm>

#include "engine/error.h"

namespace sae {

SharedTexts::SharedTexts(std::span<const std::span<const int32_t>> texts) {
  for (const auto& text : texts) {
    CHECK(!text.empty(), "texts of one batch: one is empty");
    length = std::max(length, static_cast<int64_t>(text.size()));
  }
  std::span<const int32_t> before;
  for (const auto& text : texts) {
    const auto begin = static_cast<int64_t>(row_at.size());
    const int64_t shared = common_beginning(before, text);
    for (int64_t place = 0; place < shared; ++place) {
      row_at.push_back(row_at[static_cast<size_t>(begin - length + place)]);
    }
    for (auto place = static_cast<size_t>(shared); place < text.size(); ++place) {
      place_of.push_back(static_cast<int32_t>(row_at.size()));
      row_at.push_back(static_cast<int32_t>(tokens.size()));
      tokens.push_back(text[place]);
    }
    ends.push_back(row_at.back());
    row_at.resize(static_cast<size_t>(begin + length), ends.back());
    before = text;
  }
}

int64_t common_beginning(std::span<const int32_t> a, std::span<const int32_t> b) {
  return std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin();
}

}  // namespace sae
