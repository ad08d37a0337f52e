#include "experiments/prepare_text/documents.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "experiments/prepare_text/characters.h"

namespace sae::corpus {
namespace {

constexpr uint64_t any_seed = 0;

bool is_valid(const Page& page) {
  return std::all_of(page.blocks.begin(), page.blocks.end(),
                     [](const Block& block) { return is_valid_utf8(block.text); });
}

// Removes the paragraphs that stand on more than two pages.
int64_t remove_repeated(std::vector<Page>& pages) {
  std::unordered_map<uint64_t, int64_t> pages_with;
  for (const Page& page : pages) {
    std::unordered_set<uint64_t> here;
    for (const Block& block : page.blocks) here.insert(seeded_hash(any_seed, block.text));
    for (const uint64_t hash : here) ++pages_with[hash];
  }
  int64_t removed = 0;
  for (Page& page : pages) {
    removed += static_cast<int64_t>(std::erase_if(page.blocks, [&](const Block& block) {
      return !block.heading && pages_with[seeded_hash(any_seed, block.text)] > 2 && count_words(block.text) >= 8;
    }));
  }
  return removed;
}

// A page of hundreds of kilobytes would make the split's sizes a matter of chance: it is cut at headings.
std::vector<Page> cut_long_pages(std::vector<Page> pages) {
  constexpr size_t long_page = 40000, stretch = 20000;
  std::vector<Page> cut;
  for (Page& page : pages) {
    size_t bytes = 0;
    for (const Block& block : page.blocks) bytes += block.text.size();
    if (bytes < long_page) {
      cut.push_back(std::move(page));
      continue;
    }
    int64_t parts = 0;
    size_t size = stretch;
    for (Block& block : page.blocks) {
      if (size >= stretch && (block.heading || parts == 0)) {
        cut.push_back({fmt::format("{}/{}", page.name, ++parts), {}});
        size = 0;
      }
      size += block.text.size();
      cut.back().blocks.push_back(std::move(block));
    }
  }
  return cut;
}

bool is_licence_text(const std::string& text) {
  int found = 0;
  for (const char* phrase :
       {"WITHOUT ANY WARRANTY", "WITHOUT WARRANTY", "MERCHANTABILITY", "sublicense", "hereby grant",
        "permission notice", "General Public License", "Redistributions", "Licensee"}) {
    found += text.find(phrase) != std::string::npos;
  }
  return found >= 3;
}

// Cuts one page, which it names "source/page".
class Cutter {
 public:
  Cutter(std::string name, int64_t source, const DocumentRules& rules, DocumentCounts& counts,
         std::vector<Document>& documents)
      : name_(std::move(name)), source_(source), rules_(rules), counts_(counts), documents_(documents) {}

  void add(const Block& block) {
    if (block.heading) {
      if (size() >= rules_.min_bytes_at_heading) close();
      heading_ = block.text;
      return;
    }
    if (rules_.only_prose && !is_prose(block.text)) return;
    if (size() >= rules_.max_bytes) close();
    if (!heading_.empty()) append(heading_);
    heading_.clear();
    append(block.text);
  }

  void close() {
    if (text_.empty()) return;
    if (size() < rules_.min_bytes) {
      ++counts_.too_short;
    } else if (is_licence_text(text_)) {
      ++counts_.licence_texts;
    } else {
      documents_.push_back({fmt::format("{}#{}", name_, ++parts_), text_, source_});
    }
    text_.clear();
  }

 private:
  int64_t size() const { return static_cast<int64_t>(text_.size()); }

  void append(const std::string& paragraph) {
    if (!text_.empty()) text_ += "\n\n";
    text_ += paragraph;
  }

  std::string name_;
  int64_t source_;
  const DocumentRules& rules_;
  DocumentCounts& counts_;
  std::vector<Document>& documents_;
  std::string heading_, text_;
  int64_t parts_ = 0;
};

}  // namespace

std::vector<Document> make_documents(const std::string& source, int64_t source_index, std::vector<Page> pages,
                                     const DocumentRules& rules, DocumentCounts& counts) {
  counts.invalid_utf8 += static_cast<int64_t>(std::erase_if(pages, [](const Page& page) { return !is_valid(page); }));
  counts.repeated_paragraphs += remove_repeated(pages);
  std::vector<Document> documents;
  for (const Page& page : cut_long_pages(std::move(pages))) {
    Cutter cutter(fmt::format("{}/{}", source, page.name), source_index, rules, counts, documents);
    for (const Block& block : page.blocks) cutter.add(block);
    cutter.close();
  }
  return documents;
}

}  // namespace sae::corpus
