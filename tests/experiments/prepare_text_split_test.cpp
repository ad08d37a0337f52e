// How prepare_text cuts documents, splits them, removes overlaps and keeps the shares.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "engine/error.h"
#include "engine/files/json.h"
#include "experiments/prepare_text/documents.h"
#include "experiments/prepare_text/split.h"
#include "experiments/prepare_text/write_corpus.h"
#include "tests/support/temporary_folder.h"

namespace sae::corpus {
namespace {

using testing::ElementsAre;

std::string sentence(int64_t number) {
  return fmt::format("Sentence number {} speaks of thing {} and of nothing else at all.", number, number * 7);
}

std::string words(int64_t first, int64_t count) {
  std::string out;
  for (int64_t i = first; i < first + count; ++i) out += fmt::format("w{} ", i);
  return out;
}

std::vector<std::string> ids(const std::vector<Document>& documents) {
  std::vector<std::string> out;
  for (const Document& document : documents) out.push_back(document.id);
  return out;
}

TEST(PrepareTextDocuments, CutAtHeadingsAndAtLength) {
  const DocumentRules rules = {.only_prose = true, .min_bytes = 10, .min_bytes_at_heading = 100, .max_bytes = 200};
  Page page{"p", {{"Lonely heading", true}, {"Start", true}, {sentence(1)}, {"Not prose"}, {"Middle", true}}};
  for (int64_t i = 2; i < 8; ++i) page.blocks.push_back({sentence(i)});
  page.blocks.push_back({"Next", true});
  page.blocks.push_back({sentence(9)});
  DocumentCounts counts;
  const std::vector<Document> documents = make_documents("s", 0, {page}, rules, counts);
  ASSERT_THAT(ids(documents), ElementsAre("s/p#1", "s/p#2", "s/p#3"));
  EXPECT_EQ(documents[0].text, fmt::format("Start\n\n{}\n\nMiddle\n\n{}\n\n{}", sentence(1), sentence(2), sentence(3)));
  EXPECT_EQ(documents[2].text, fmt::format("Next\n\n{}", sentence(9)));
}

TEST(PrepareTextDocuments, LeavesOutWhatIsNoText) {
  const DocumentRules rules = {.only_prose = true, .min_bytes = 30, .min_bytes_at_heading = 1, .max_bytes = 1000};
  const std::string notice = "This manual is published by someone, and all rights are his.";
  std::vector<Page> pages;
  for (int64_t i = 0; i < 3; ++i) pages.push_back({fmt::format("{}", i), {{notice}, {sentence(i)}}});
  pages.push_back({"bad", {{"Bytes that are no UTF-8 \xFF stand in this sentence of the page."}}});
  pages.push_back({"licence", {{"It comes WITHOUT ANY WARRANTY, even of MERCHANTABILITY; you may sublicense it so."}}});
  pages.push_back({"short", {{"This is far too short."}}});
  pages.back().blocks[0].text = "A b c d e f.";
  DocumentCounts counts;
  const std::vector<Document> documents = make_documents("s", 0, pages, rules, counts);
  EXPECT_THAT(ids(documents), ElementsAre("s/0#1", "s/1#1", "s/2#1"));
  EXPECT_EQ(documents[0].text, sentence(0));
  EXPECT_EQ(counts.repeated_paragraphs, 3);
  EXPECT_EQ(counts.invalid_utf8, 1);
  EXPECT_EQ(counts.licence_texts, 1);
  EXPECT_EQ(counts.too_short, 1);
}

TEST(PrepareTextDocuments, LongPagesAreCutForTheSplit) {
  Page page{"p", {}};
  for (int64_t i = 0; i < 1200; ++i) page.blocks.push_back({i % 100 == 0 ? "Heading" : sentence(i), i % 100 == 0});
  DocumentCounts counts;
  std::set<std::string> pages;
  for (const std::string& id : ids(make_documents("s", 0, {page}, {}, counts)))
    pages.insert(id.substr(0, id.find('#')));
  EXPECT_THAT(pages, ElementsAre("s/p/1", "s/p/2", "s/p/3", "s/p/4"));
}

std::vector<Document> many_documents(int64_t pages, int64_t source = 0, int64_t bytes = 1000) {
  std::vector<Document> documents;
  for (int64_t page = 0; page < pages; ++page) {
    for (int part = 1; part <= 2; ++part) {
      documents.push_back(
          {fmt::format("s{}/{}#{}", source, page, part), std::string(static_cast<size_t>(bytes), 'x'), source});
    }
  }
  return documents;
}

TEST(PrepareTextSplit, WholePagesByTheSeed) {
  std::vector<Document> documents = many_documents(4000), again = documents, other = documents;
  assign_splits(documents, 1);
  assign_splits(again, 1);
  assign_splits(other, 2);
  int64_t in[3] = {0, 0, 0}, moved = 0;
  for (size_t i = 0; i < documents.size(); ++i) {
    ++in[static_cast<int>(documents[i].split)];
    EXPECT_EQ(documents[i].split, again[i].split);
    EXPECT_EQ(documents[i].split, documents[i - i % 2].split);
    moved += documents[i].split != other[i].split;
  }
  EXPECT_NEAR(static_cast<double>(in[0]) / 8000, 0.90, 0.015);  // three standard deviations of 4000 draws
  EXPECT_NEAR(static_cast<double>(in[1]) / 8000, 0.05, 0.011);
  EXPECT_NEAR(static_cast<double>(in[2]) / 8000, 0.05, 0.011);
  EXPECT_GT(moved, 800);
}

TEST(PrepareTextSplit, RunsOfThirteenWordsAcrossSplitsAreRemoved) {
  auto document = [](const char* id, std::string text, Split split) { return Document{id, std::move(text), 1, split}; };
  std::vector<Document> documents = {
      document("train#1", words(0, 40), Split::train),
      document("train#2", words(1000, 40) + words(0, 40), Split::train),  // train may repeat itself
      document("twelve#1", words(2000, 20) + words(5, 12) + words(2100, 20), Split::validation),
      document("thirteen#1", words(2200, 20) + "W5, " + words(6, 12) + words(2300, 20), Split::validation),
      document("fresh#1", words(3000, 40), Split::test),
      document("as-validation#1", words(4000, 20) + words(2000, 13), Split::test),
      document("end-to-start#1", words(39, 1) + words(1000, 12) + words(5000, 9), Split::test),
  };
  const std::vector<int64_t> removed = remove_overlaps(documents, 2);
  EXPECT_THAT(ids(documents), ElementsAre("train#1", "train#2", "twelve#1", "fresh#1", "end-to-start#1"));
  EXPECT_THAT(removed, ElementsAre(0, 2));
}

TEST(PrepareTextSplit, MixtureKeepsTheShares) {
  const std::vector<Kind> kinds = {Kind::essay, Kind::book, Kind::manual, Kind::manual, Kind::dictionary};
  const std::vector<double> kept = mixture({10e6, 6e6, 20e6, 5e6, 9e6}, kinds, {}, 0);
  double total = 0;
  for (const double bytes : kept) total += bytes;
  EXPECT_LE(kept[0], 0.3001 * total);
  EXPECT_LE(kept[2], 0.3001 * total);
  EXPECT_LE(kept[2] + kept[3], 0.5001 * total);
  EXPECT_LE(kept[4], 0.0501 * total);
  EXPECT_NEAR(kept[1], 6e6, 1);  // nothing limits it
  EXPECT_GT(total, 28e6);        // and no more is lost than must be

  const std::vector<double> small = mixture({10e6, 6e6, 20e6, 5e6, 9e6}, kinds, {}, 1e6);
  for (size_t i = 0; i < kept.size(); ++i) EXPECT_NEAR(small[i], kept[i] * 1e6 / total, 1);
}

TEST(PrepareTextSplit, ImpossibleSharesAreRefusedAndOwnTextHasNone) {
  EXPECT_THROW(mixture({1e6, 1e6}, {Kind::manual, Kind::manual}, {}, 0), Error);
  EXPECT_THAT(mixture({1e6}, {Kind::own}, {}, 0), ElementsAre(1e6));
  EXPECT_THAT(mixture({0, 0}, {Kind::essay, Kind::manual}, {}, 0), ElementsAre(0, 0));
}

TEST(PrepareTextSplit, SelectionIsMixedAndSmallIsPartOfLarge) {
  std::vector<Document> documents;
  std::vector<Kind> kinds(5, Kind::book);
  for (int64_t source = 0; source < 5; ++source) {
    for (Document& document : many_documents(200, source)) documents.push_back(std::move(document));
  }
  const std::vector<Document> all = select_documents(documents, kinds, {}, 0, 7);
  const std::vector<Document> half = select_documents(documents, kinds, {}, 1.0, 7);
  EXPECT_EQ(all.size(), 2000u);
  EXPECT_NEAR(static_cast<double>(half.size()), 1000, 5);
  const std::vector<std::string> all_ids = ids(all);
  const std::set<std::string> known(all_ids.begin(), all_ids.end());
  for (const std::string& id : ids(half)) EXPECT_TRUE(known.contains(id));
  std::map<int64_t, int> early;
  for (size_t i = 0; i < 500; ++i) ++early[all[i].source];
  for (const auto& [source, count] : early) EXPECT_NEAR(count, 100, 40) << source;
  EXPECT_EQ(ids(all), ids(select_documents(documents, kinds, {}, 0, 7)));
  EXPECT_NE(ids(all), ids(select_documents(documents, kinds, {}, 0, 8)));
}

TEST(PrepareTextWrite, JsonLinesRoundTrip) {
  const TemporaryFolder folder;
  const std::string text = "Quote \" backslash \\ tab \t\n\nnew caf\u00E9 \U0001F600 \x01 end";
  const std::vector<Document> documents = {{"s/p#1", text, 0, Split::train}, {"s/q#1", "held", 0, Split::test}};
  Source source;
  source.package = "s";
  source.licence = "MIT, \"or\" so";
  write_corpus(folder.path("corpus"), documents, {source}, "seed = 0\n", false);
  const std::string line = folder.read("corpus/train.jsonl");
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  const Json read = Json::parse(line, "line");
  EXPECT_EQ(read.at("source").text(), "s");
  EXPECT_EQ(read.at("id").text(), "s/p#1");
  EXPECT_EQ(read.at("text").text(), text);
  EXPECT_EQ(folder.read("corpus/validation.jsonl"), "");
  EXPECT_EQ(folder.entries(), 1);  // nothing temporary is left

  EXPECT_THROW(write_corpus(folder.path("corpus"), {}, {source}, "", false), Error);
  EXPECT_EQ(folder.read("corpus/train.jsonl"), line);
  write_corpus(folder.path("corpus"), {}, {source}, "", true);
  EXPECT_EQ(folder.read("corpus/train.jsonl"), "");
}

}  // namespace
}  // namespace sae::corpus
