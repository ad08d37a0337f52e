#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "engine/error.h"
#include "engine/philox.h"

namespace sae {

/// What is tried on a damaged file: reads all of it and returns what it read, as text to compare.
using ReadAll = std::function<std::string(const std::string& bytes)>;

/// Does the reader refuse these bytes with an Error? Any other exception fails the test.
inline bool is_refused(const ReadAll& read, const std::string& bytes) {
  try {
    read(bytes);
    return false;
  } catch (const Error& error) {
    EXPECT_FALSE(std::string_view(error.what()).empty());
    return true;
  }
}

/// Every length shorter than the whole file must be refused.
inline void expect_truncations_refused(const ReadAll& read, const std::string& whole) {
  for (size_t length = 0; length < whole.size(); ++length) {
    EXPECT_TRUE(is_refused(read, whole.substr(0, length))) << "cut to " << length << " of " << whole.size();
  }
}

/// Reads `count` copies, each changed by one to four random edits (a byte replaced, inserted, dropped or doubled, a run
/// of bytes copied elsewhere, the end cut off). Whatever comes, the reader returns or throws Error.
inline void expect_survives_edits(const ReadAll& read, const std::string& whole, uint64_t seed, uint64_t count) {
  for (uint64_t round = 0; round < count; ++round) {
    const Philox random(seed, round);
    uint64_t draw = 0;
    std::string bytes = whole;
    const auto pick = [&](size_t bound) {
      return static_cast<size_t>(random.below(draw++, std::max<size_t>(bound, 1)));
    };
    for (size_t edits = 1 + pick(4); edits > 0 && !bytes.empty(); --edits) {
      // Most structure stands at the front.
      const size_t place = pick(pick(2) == 0 ? bytes.size() : std::min<size_t>(bytes.size(), 200));
      switch (pick(6)) {
        case 0:
          bytes[place] = static_cast<char>(pick(256));
          break;
        case 1:
          bytes[place] = static_cast<char>(bytes[place] ^ static_cast<char>(1 << pick(8)));
          break;
        case 2:
          bytes.insert(place, 1, "09{}[]\",:-e\xff"[pick(12)]);
          break;
        case 3:
          bytes.erase(place, 1 + pick(8));
          break;
        case 4:
          bytes.insert(pick(bytes.size()), std::string(bytes, place, 1 + pick(40)));
          break;
        default:
          if (pick(8) == 0) bytes.resize(place);
          break;
      }
    }
    is_refused(read, bytes);
  }
}

}  // namespace sae
