#include "experiments/harvest/contexts.h"

#include <algorithm>
#include <filesystem>

#include "engine/device.h"
#include "engine/error.h"
#include "engine/files/json_lines.h"
#include "engine/files/mapped_file.h"
#include "engine/files/npy.h"

namespace sae {
namespace {

namespace fs = std::filesystem;

Document whole_file(const fs::path& path) {
  const MappedFile file(path.string());
  return {path.filename().string(),
          std::string(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size())};
}

std::vector<Document> read_lines(const std::string& path) {
  std::vector<Document> documents;
  JsonLinesReader reader(path);
  while (const std::optional<Json> line = reader.next()) {
    documents.push_back({line->has("source") ? line->at("source").text() : path, line->at("text").text()});
  }
  CHECK(reader.unfinished().empty(), "{}: the last line is cut off; prepare the text again", path);
  return documents;
}

std::vector<Document> read_folder(const std::string& path) {
  CHECK(!fs::exists(fs::path(path) / "train.jsonl"),
        "--text: '{}' is prepared text; name one split of it, such as '{}/train.jsonl'", path, path);
  std::vector<fs::path> names;
  for (const auto& item : fs::directory_iterator(path)) {
    const std::string extension = item.path().extension().string();
    if (item.is_regular_file() && item.file_size() > 0 && (extension == ".txt" || extension == ".md")) {
      names.push_back(item.path());
    }
  }
  std::sort(names.begin(), names.end());
  CHECK(!names.empty(), "--text: the folder '{}' has no .txt or .md files", path);
  std::vector<Document> documents;
  for (const fs::path& name : names) documents.push_back(whole_file(name));
  return documents;
}

class TextContexts final : public ContextSource {
 public:
  TextContexts(std::vector<Document> documents, Tokenizer& tokenizer, int64_t length, bool beginning)
      : documents_(std::move(documents)),
        tokenizer_(tokenizer),
        length_(length),
        taken_(beginning ? length - 1 : length) {
    CHECK(taken_ > 0, "a context of {} has no room for text beside the beginning token", length);
    CHECK(!beginning || tokenizer.beginning_of_text() >= 0, "this model's tokenizer names no beginning-of-text token");
    CHECK(tokenizer.end_of_text() >= 0 || documents_.size() == 1,
          "this model's tokenizer names no end-of-text token, which must stand between documents");
    fill(taken_);
    CHECK(static_cast<int64_t>(pending_.ids.size()) >= taken_,
          "the text has {} tokens, which fill no context of {}; give more text or a smaller --context",
          pending_.ids.size(), length);
  }

  ContextBatch next(int64_t count) override {
    fill(count * taken_);
    const int64_t whole = std::min(count, pending_.contexts(taken_));
    ContextBatch batch;
    for (int64_t context = 0; context < whole; ++context) {
      const auto begin = static_cast<std::ptrdiff_t>(context * taken_), end = begin + taken_;
      if (taken_ < length_) {
        batch.ids.push_back(tokenizer_.beginning_of_text());
        batch.documents.push_back(pending_.documents[static_cast<size_t>(begin)]);
      }
      batch.ids.insert(batch.ids.end(), pending_.ids.begin() + begin, pending_.ids.begin() + end);
      batch.documents.insert(batch.documents.end(), pending_.documents.begin() + begin,
                             pending_.documents.begin() + end);
    }
    const auto end = static_cast<std::ptrdiff_t>(whole * taken_);
    pending_.ids.erase(pending_.ids.begin(), pending_.ids.begin() + end);
    pending_.documents.erase(pending_.documents.begin(), pending_.documents.begin() + end);
    return batch;
  }

  int64_t total() const override { return -1; }

  std::string source_of(int32_t document) const override { return documents_[static_cast<size_t>(document)].source; }

 private:
  /// Tokenizes documents until that many tokens wait, or none is left.
  void fill(int64_t tokens) {
    while (static_cast<int64_t>(pending_.ids.size()) < tokens && next_document_ < documents_.size()) {
      std::string& text = documents_[next_document_].text;
      tokenizer_.encode(text, pending_.ids);
      if (tokenizer_.end_of_text() >= 0) pending_.ids.push_back(tokenizer_.end_of_text());
      pending_.documents.resize(pending_.ids.size(), static_cast<int32_t>(next_document_));
      std::string().swap(text);  // its tokens are all that is still needed
      ++next_document_;
    }
  }

  std::vector<Document> documents_;
  Tokenizer& tokenizer_;
  int64_t length_;
  int64_t taken_;  // of the stream for a context: one less where the beginning token stands in front
  size_t next_document_ = 0;
  ContextBatch pending_;
};

class TokenIdContexts final : public ContextSource {
 public:
  TokenIdContexts(const std::string& path, int64_t length, int64_t vocabulary) : name_(path) {
    const NpyFile file(path);
    const bool narrow = file.dtype() == Dtype::u16;
    CHECK((narrow || file.dtype() == Dtype::i32) && file.shape().rank() == 2 && file.shape().cols() == length,
          "{}: expected token ids u16 or i32 [contexts, {}], got {} {}", path, length, name_of(file.dtype()),
          file.shape().to_string());
    const auto device = Device::open(DeviceKind::cpu);
    const Tensor ids = file.read(*device);
    if (narrow) {
      ids_.assign(ids.data<uint16_t>(), ids.data<uint16_t>() + ids.elements());
    } else {
      ids_ = ids.to_vector<int32_t>();
    }
    length_ = length;
    for (size_t i = 0; i < ids_.size(); ++i) {
      CHECK(0 <= ids_[i] && ids_[i] < vocabulary, "{}: token {} at position {} of context {}; the model has {}", path,
            ids_[i], static_cast<int64_t>(i) % length, static_cast<int64_t>(i) / length, vocabulary);
    }
    CHECK(!ids_.empty(), "{}: holds no contexts", path);
  }

  ContextBatch next(int64_t count) override {
    const int64_t end = std::min(total(), at_ + count);
    ContextBatch batch;
    batch.ids.assign(ids_.begin() + at_ * length_, ids_.begin() + end * length_);
    for (int64_t context = at_; context < end; ++context) {
      batch.documents.insert(batch.documents.end(), static_cast<size_t>(length_), static_cast<int32_t>(context));
    }
    at_ = end;
    return batch;
  }

  int64_t total() const override { return static_cast<int64_t>(ids_.size()) / length_; }
  std::string source_of(int32_t) const override { return name_; }

 private:
  std::string name_;
  std::vector<int32_t> ids_;
  int64_t length_ = 0;
  int64_t at_ = 0;
};

}  // namespace

std::vector<Document> read_documents(const std::string& path) {
  CHECK(fs::exists(path), "--text: '{}' does not exist", path);
  std::vector<Document> documents;
  if (fs::is_directory(path)) {
    documents = read_folder(path);
  } else if (fs::path(path).extension() == ".jsonl") {
    documents = read_lines(path);
  } else {
    documents.push_back(whole_file(path));
  }
  std::erase_if(documents, [](const Document& document) { return document.text.empty(); });
  CHECK(!documents.empty(), "--text: '{}' holds no text", path);
  return documents;
}

std::unique_ptr<ContextSource> text_contexts(std::vector<Document> documents, Tokenizer& tokenizer, int64_t length,
                                             bool beginning) {
  return std::make_unique<TextContexts>(std::move(documents), tokenizer, length, beginning);
}

std::unique_ptr<ContextSource> token_id_contexts(const std::string& path, int64_t length, int64_t vocabulary) {
  return std::make_unique<TokenIdContexts>(path, length, vocabulary);
}

}  // namespace sae
