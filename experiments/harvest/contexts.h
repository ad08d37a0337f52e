#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "models/language_model/tokenizer.h"

namespace sae {

/// A text, and where it is from.
struct Document {
  std::string source;  ///< a package, a file's name
  std::string text;
};

/// Documents of a text: of a .jsonl file, a document a line as {"source", "text"} (what prepare_text writes); of any
/// other file, the whole of it; of a folder, one for each .txt and .md file in it, by name. Throws where there is no
/// text at all.
std::vector<Document> read_documents(const std::string& path);

/// Whole contexts, one after the other.
struct ContextBatch {
  std::vector<int32_t> ids;
  std::vector<int32_t> documents;  ///< of each token, counted from 0
  int64_t contexts(int64_t length) const { return static_cast<int64_t>(ids.size()) / length; }
};

/// Where contexts come from, in an order that does not depend on how many are asked for at once.
class ContextSource {
 public:
  virtual ~ContextSource() = default;
  /// The next contexts: `count`, or fewer where the source ends.
  virtual ContextBatch next(int64_t count) = 0;
  /// How many there are in all, or -1 where that is not known before the end.
  virtual int64_t total() const = 0;
  /// The source of document i: where losses are reported by source.
  virtual std::string source_of(int32_t document) const = 0;
};

/// Documents as one stream of tokens, the end-of-text token behind each, cut into contexts of `length`. A context may
/// hold the end of one document and the beginning of the next, with the token between them; the rest at the stream's
/// end that fills no context is left out. With `beginning`, every context starts with the tokenizer's token for that,
/// which takes a place of its length. Throws where there is not one whole context.
std::unique_ptr<ContextSource> text_contexts(std::vector<Document> documents, Tokenizer& tokenizer, int64_t length,
                                             bool beginning = false);

/// A NumPy file u16 or i32 [contexts, length] of token ids. Throws on another dtype or length.
std::unique_ptr<ContextSource> token_id_contexts(const std::string& path, int64_t length, int64_t vocabulary);

}  // namespace sae
