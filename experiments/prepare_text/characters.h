#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sae::corpus {

/// Whether the bytes are well-formed UTF-8 (no overlong forms, surrogates or values above U+10FFFF) without NUL.
bool is_valid_utf8(std::string_view text);

/// Runs of white space (ASCII, no-break space, zero-width space, byte order mark) become one space, other control
/// characters and soft hyphens vanish, and the ends are trimmed.
std::string collapse_space(std::string_view text);

/// Hashes of the lower-cased words of a text, in order. A word is a run of letters, digits and non-ASCII characters
/// that are no general punctuation (U+2000 to U+206F); only ASCII letters are lower-cased.
std::vector<uint64_t> word_hashes(std::string_view text);

int64_t count_words(std::string_view text);

/// Whether a paragraph reads as a sentence or more: at least `min_words` words, mostly letters, and an end that ends
/// something. What is left of tables, signatures, menus and indexes does not.
bool is_prose(std::string_view paragraph, int64_t min_words = 6);

/// A hash of the text that depends on the seed alone, equal on every machine.
uint64_t seeded_hash(uint64_t seed, std::string_view text);

}  // namespace sae::corpus
