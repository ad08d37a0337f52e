// The readers of prepare_text: HTML, Markdown, POD, novels in R's serialisation, dictionaries and SWORD modules.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <string>
#include <vector>

#include "engine/error.h"
#include "experiments/prepare_text/bytes.h"
#include "experiments/prepare_text/characters.h"
#include "experiments/prepare_text/dictionary_text.h"
#include "experiments/prepare_text/html_text.h"
#include "experiments/prepare_text/plain_text.h"
#include "experiments/prepare_text/r_data.h"
#include "experiments/prepare_text/sources.h"
#include "experiments/prepare_text/sword_text.h"
#include "tests/support/temporary_folder.h"

namespace sae::corpus {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> texts(const std::vector<Block>& blocks) {
  std::vector<std::string> out;
  for (const Block& block : blocks) out.push_back((block.heading ? "# " : "") + block.text);
  return out;
}

// The text of the error that the call throws.
template <class Call>
std::string error_of(Call call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

std::string deflated(const std::string& text) {
  uLongf size = compressBound(text.size());
  std::string out(size, '\0');
  compress(reinterpret_cast<Bytef*>(out.data()), &size, reinterpret_cast<const Bytef*>(text.data()), text.size());
  out.resize(size);
  return out;
}

TEST(PrepareText, ValidUtf8) {
  EXPECT_TRUE(is_valid_utf8("plain, \u00E9, \u20AC, \U0001F600"));
  for (const char* bad :
       {"\xC0\xAF", "\xE0\x80\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xFF", "\xE2\x82", "a\x80"}) {
    EXPECT_FALSE(is_valid_utf8(bad));
  }
  EXPECT_FALSE(is_valid_utf8(std::string_view("a\0b", 3)));
}

TEST(PrepareText, SpaceCollapses) {
  EXPECT_EQ(collapse_space("\uFEFF  a\r\n\t b\u00A0c\x01 co\u00ADop  "), "a b c coop");
  EXPECT_EQ(collapse_space(" \n "), "");
}

TEST(PrepareText, WordsAreLowerCasedAndWithoutPunctuation) {
  EXPECT_EQ(word_hashes("\u201CThe CAT\u2019s mat\u201D"), word_hashes("the cat s mat"));
  EXPECT_EQ(count_words("It's 3 caf\u00E9s."), 4);
  EXPECT_NE(word_hashes("caf\u00E9"), word_hashes("cafe"));
}

TEST(PrepareText, ProseIsToldFromOtherText) {
  EXPECT_TRUE(is_prose("This is a sentence of seven words."));
  EXPECT_TRUE(is_prose("As Bakunin wrote, it is so [Works, p. 3]"));
  EXPECT_FALSE(is_prose("Too short."));
  EXPECT_FALSE(is_prose("Home About the project Next page Previous page"));
  EXPECT_FALSE(is_prose("(http://a.example/b/c/d/e/f/g/h.html)."));
  EXPECT_FALSE(is_prose("x = a[0] + b[1] * 27 - 13 / (4 + 5 + 6);"));
}

TEST(PrepareText, HtmlParagraphs) {
  const char* html = R"(<html><head><title>no</title><meta charset="utf-8"></head><body>
    <nav><p>Menu</p></nav><div class="sect1 related">no</div>
    <h2>Title<a class="headerlink" href="#x">&para;</a></h2>
    <p>One &lt;b&gt; &amp; <b>bold</b> <code>f(x)</code>,
    caf&eacute; &#8364;<sup>1</sup>.</p><pre>code</pre>
    <ul><li>Item <i>a</i></li><li><p>Item b</p></li></ul>
    <table><tr><td>bare cell</td><td><p>Cell text.</p></td></tr></table>
    <p>First line<br>goes on<br><br>Second.</p><script>no()</script>loose end</body></html>)";
  EXPECT_THAT(texts(html_blocks(html, "test")),
              ElementsAre("# Title", "One <b> & bold f(x), caf\u00E9 \u20AC.", "Item a", "Item b", "Cell text.",
                          "First line goes on", "Second.", "loose end"));
}

TEST(PrepareText, HtmlHidesVariants) {
  const char* html =
      R"(<p>Press <span><span hidden id="MACx">Command</span><span hidden id="defaultx">Ctrl</span></span>+S.</p>)";
  EXPECT_THAT(texts(html_blocks(html, "test")), ElementsAre("Press Ctrl+S."));
}

TEST(PrepareText, HtmlEncodings) {
  EXPECT_THAT(texts(html_blocks("<p>caf\xE9</p>", "latin-1, undeclared")), ElementsAre("caf\u00E9"));
  EXPECT_THAT(texts(html_blocks("<p>caf\u00E9</p>", "UTF-8, undeclared")), ElementsAre("caf\u00E9"));
  EXPECT_THAT(texts(html_blocks("<meta http-equiv=Content-Type content='text/html; charset=iso-8859-1'><p>caf\xE9</p>",
                                "latin-1, declared")),
              ElementsAre("caf\u00E9"));
}

TEST(PrepareText, BrokenHtmlIsReadAsFarAsItGoes) {
  EXPECT_THAT(texts(html_blocks("<p>one <b>two</p><p>three</i>", "test")), ElementsAre("one two", "three"));
  EXPECT_TRUE(html_blocks("", "test").empty());
  std::string deep;
  for (int i = 0; i < 100000; ++i) deep += "<div>";
  EXPECT_NO_THROW(html_blocks(deep + "<p>x</p>", "test"));  // no stack overflow
}

TEST(PrepareText, Markdown) {
  const char* markdown =
      "# Title\n\nSome *text* with a [link](http://a.example)\nover lines.\n\n```\ncode\n```\n\n- item\n";
  EXPECT_THAT(texts(markdown_blocks(markdown, "test")),
              ElementsAre("# Title", "Some text with a link over lines.", "item"));
}

TEST(PrepareText, Pod) {
  const char* pod =
      "=encoding utf8\n\n=head1 A B<bold> title\nX<index>\n\nText with C<< $a->{x} >> and L<the page|perlop/x>,\n"
      "S<more E<lt>>.\n\n  verbatim\n\n=begin html\n\n<p>no</p>\n\n=end html\n\n=over 4\n\n=item *\n\nDone";
  EXPECT_THAT(texts(pod_blocks(pod)), ElementsAre("# A bold title", "Text with $a->{x} and the page, more <.", "Done"));
  std::string deep;
  for (int i = 0; i < 100000; ++i) deep += "B<";
  EXPECT_NO_THROW(pod_blocks(deep));
}

TEST(PrepareText, Chapters) {
  const std::string novel =
      "licence\n*** START OF THIS BOOK ***\nCHAPTER 1\nCHAPTER II. Two\n\nCHAPTER 1\n\nIt _was_\r\nso.\n\n"
      "Chapter and verse.\n\nCHAPTER II. Two\n\nMore.\n\nStill.\n*** END OF THIS BOOK ***\nlicence";
  const std::vector<Page> pages = chapters(novel, "book");
  ASSERT_EQ(pages.size(), 2u);  // the table of contents makes none
  EXPECT_EQ(pages[1].name, "book/004");
  EXPECT_THAT(texts(pages[0].blocks), ElementsAre("# CHAPTER 1", "It was so.", "Chapter and verse."));
  EXPECT_THAT(texts(pages[1].blocks), ElementsAre("# CHAPTER II. Two", "More.", "Still."));
}

// XDR by hand: big-endian words.
std::string word(uint32_t value) {
  std::string out;
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift & 0xFF);
  return out;
}
std::string string_item(const std::string& text) { return word(9) + word(static_cast<uint32_t>(text.size())) + text; }
const std::string r_header = "X\n" + word(2) + word(0x040201) + word(0x020300);
std::string strings_value(const std::vector<std::string>& strings) {
  std::string out = r_header + word(16) + word(static_cast<uint32_t>(strings.size()));
  for (const std::string& text : strings) out += string_item(text);
  return out;
}
// A list with names, as R writes it: the items, then a pair list of attributes with the symbol "names" as its tag.
std::string named_list(const std::vector<std::string>& names, const std::string& items) {
  std::string out = word(19 | 0x200) + word(static_cast<uint32_t>(names.size())) + items;
  out += word(2 | 0x400) + word(1) + string_item("names") + word(16) + word(static_cast<uint32_t>(names.size()));
  for (const std::string& name : names) out += string_item(name);
  return out + word(254);
}

TEST(PrepareText, RStrings) {
  EXPECT_THAT(read_r_value(strings_value({"caf\u00E9", "", "b"}), "test").strings, ElementsAre("caf\u00E9", "", "b"));
  const std::string missing = r_header + word(16) + word(1) + word(9) + word(0xFFFFFFFF);
  EXPECT_THAT(read_r_value(missing, "test").strings, ElementsAre(""));
}

TEST(PrepareText, RLazyLoadDatabase) {
  const std::string novel = strings_value({"CHAPTER 1", "", "It was so."});
  const std::string chunk = word(static_cast<uint32_t>(novel.size())) + deflated(novel);
  const std::string place = word(13) + word(2) + word(7) + word(static_cast<uint32_t>(chunk.size()));
  const std::string index = r_header + named_list({"variables"}, named_list({"emma"}, place));
  const std::string data = "padding" + chunk;
  const auto found = read_lazy_load_strings(deflated(index), data, "db");
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].first, "emma");
  EXPECT_THAT(found[0].second, ElementsAre("CHAPTER 1", "", "It was so."));

  auto read = [&](const std::string& bytes) {
    return error_of([&] { read_lazy_load_strings(deflated(index), bytes, "db"); });
  };
  EXPECT_THAT(read(data.substr(0, data.size() - 1)), HasSubstr("of a data file of"));
  std::string flipped = data;
  flipped[20] = static_cast<char>(flipped[20] ^ 0x55);
  EXPECT_THAT(read(flipped), HasSubstr("db, variable 'emma'"));
  std::string huge = data;
  huge.replace(7, 4, word(0xFFFFFFFF));
  EXPECT_THAT(read(huge), HasSubstr("cannot hold the claimed 4294967295"));
  std::string larger = data;
  larger.replace(7, 4, word(static_cast<uint32_t>(novel.size()) - 1));
  EXPECT_THAT(read(larger), HasSubstr("holds more than the expected"));
}

TEST(PrepareText, HostileRDataIsRefused) {
  const std::string whole = strings_value({"one", "two"});
  for (size_t length = 0; length < whole.size(); ++length) {
    EXPECT_THROW(read_r_value(whole.substr(0, length), "test"), Error) << length;
  }
  auto read = [](const std::string& body) { return error_of([&] { read_r_value(r_header + body, "file"); }); };
  EXPECT_THAT(read(word(16) + word(0x7FFFFFFF)), HasSubstr("file: R data at byte 22: a length beyond the end"));
  EXPECT_THAT(read(word(16) + word(0x80000000)), HasSubstr("negative length"));
  EXPECT_THAT(read(word(13) + word(0x40000000)), HasSubstr("beyond the end"));
  EXPECT_THAT(read(word(238)), HasSubstr("unsupported kind"));
  EXPECT_THAT(read(word(255 | 7 << 8)), HasSubstr("symbol that has not been read"));
  std::string nested;
  for (int i = 0; i < 100000; ++i) nested += word(19) + word(1);
  EXPECT_THAT(read(nested), HasSubstr("nested deeper"));
}

TEST(PrepareText, Dictionary) {
  const std::string entry =
      "ARES\n\n   <language> A pictorial {query\n   language} that nobody uses now.\n\n   (1995-10-10)\n";
  const std::string text = "about this" + entry;
  const std::string index = "00databaseinfo\tA\tK\nares\tK\tBb\nsee ares\tK\tBb\n";  // offset 10, length 91
  ASSERT_EQ(entry.size(), 91u);
  const std::vector<Page> pages = dictionary_pages(index, text, "foldoc");
  ASSERT_EQ(pages.size(), 1u);
  EXPECT_EQ(pages[0].name, "foldoc/001");
  EXPECT_THAT(texts(pages[0].blocks), ElementsAre("ARES: A pictorial query language that nobody uses now."));

  for (const char* bad :
       {"ares\tK\tBc\n", "ares\t/////\tA\n", "ares\tK\n", "ares\t\tA\n", "ares\tK\t*\n", "ares\tAAAAAAAA\tA\n"}) {
    EXPECT_THROW(dictionary_pages(bad, text, "foldoc"), Error) << bad;
  }
}

TEST(PrepareText, SwordModule) {
  const std::string osis =
      "<div osisID=\"Gen\" sID=\"g1\" type=\"book\"/><title>Genesis</title><chapter osisID=\"Gen.1\" sID=\"a\"/>"
      "<div sID=\"p\" type=\"x-p\"/><w>In</w> <w>the</w> beginning,<note>or at first</note><w>God</w> "
      "made<note>n</note>.<div eID=\"p\" type=\"x-p\"/><l>A line</l><l>another</l>"
      "<chapter osisID=\"Gen.2\" sID=\"b\"/>Next &amp; last.";
  const std::string block = deflated(osis);
  auto little = [](size_t value) { return std::string{static_cast<char>(value), static_cast<char>(value >> 8), 0, 0}; };
  const std::string index = little(3) + little(block.size()) + little(osis.size()) + little(0) + little(0) + little(0);
  const std::vector<Page> pages = sword_chapters(index, "pad" + block, "web");
  ASSERT_EQ(pages.size(), 2u);
  EXPECT_EQ(pages[0].name, "Gen.1");
  EXPECT_THAT(texts(pages[0].blocks), ElementsAre("In the beginning, God made.", "A line another"));
  EXPECT_THAT(texts(pages[1].blocks), ElementsAre("Next & last."));

  EXPECT_THAT(error_of([&] { sword_chapters(index, block, "web"); }), HasSubstr("block 0 lies outside the data"));
  EXPECT_THAT(error_of([&] { sword_chapters(index.substr(1), "pad" + block, "web"); }),
              HasSubstr("entries of 12 bytes"));
  EXPECT_THAT(error_of([&] { sword_chapters(index, "pad" + std::string(block.size(), 'x'), "web"); }),
              HasSubstr("broken compressed data"));
}

TEST(PrepareText, Inflate) {
  const std::string text(100000, 'a');
  EXPECT_EQ(inflate(deflated(text), 100000, "test"), text);
  EXPECT_THROW(inflate(deflated(text), 99999, "test"), Error);
  EXPECT_THROW(inflate(deflated(text).substr(0, 50), 100000, "test"), Error);
  EXPECT_THROW(inflate("", 100, "test"), Error);
}

TEST(PrepareText, SourceTable) {
  const auto sources = parse_sources("# c\nperl-doc\tpod\tmanual\tArtistic\tusr/share\tx*.pod\n", "t");
  ASSERT_EQ(sources.size(), 1u);
  EXPECT_EQ(sources[0].format, Format::pod);
  EXPECT_EQ(sources[0].left_out, "x*.pod");
  EXPECT_THAT(error_of([] { parse_sources("# c\na\tpdf\tmanual\tx\ty\n", "t"); }), HasSubstr("t:2: 'pdf'"));
  EXPECT_THAT(error_of([] { parse_sources("a b c\n", "t"); }), HasSubstr("t:1: expected five or six"));
  EXPECT_THROW(parse_sources("", "t"), Error);
}

TEST(PrepareText, TheProjectsOwnTableIsRead) {
  const std::string table = SAE_GOLDEN "/../../experiments/prepare_text/sources.tsv";
  EXPECT_GE(parse_sources(read_bytes(table), table).size(), 10u);
}

TEST(PrepareText, FilesLeftOutByPattern) {
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder.path("doc/sub"));
  for (const char* file : {"doc/b.html", "doc/index.html", "doc/sub/genindex-A.html", "doc/sub/a.html", "doc/x.txt"}) {
    folder.write(file, "<p>Text.</p>");
  }
  Source source;
  source.folder = "doc";
  source.left_out = "index.html genindex*.html";
  const std::vector<Page> pages = read_source(source, folder.path(""));
  ASSERT_EQ(pages.size(), 2u);
  EXPECT_EQ(pages[0].name, "b.html");
  EXPECT_EQ(pages[1].name, "sub/a.html");
  source.left_out = "*";
  EXPECT_THAT(error_of([&] { read_source(source, folder.path("")); }), HasSubstr("found no text"));
}

TEST(PrepareText, OwnFolder) {
  const TemporaryFolder folder;
  folder.write("b.txt", "One\ntwo.\r\n\r\nThree.");
  folder.write("a.md", "*Emphasis* here.");
  folder.write("c.pdf", "no");
  std::filesystem::create_directory(folder.path("sub"));
  folder.write("sub/d.html", "<p>Deep.</p>");
  const std::vector<Page> pages = read_folder(folder.path(""));
  ASSERT_EQ(pages.size(), 3u);
  EXPECT_THAT(texts(pages[0].blocks), ElementsAre("Emphasis here."));
  EXPECT_THAT(texts(pages[1].blocks), ElementsAre("One two.", "Three."));
  EXPECT_EQ(pages[2].name, "sub/d.html");
  EXPECT_THROW(read_folder(folder.path("none")), Error);
  std::filesystem::create_directory(folder.path("empty"));
  EXPECT_THAT(error_of([&] { read_folder(folder.path("empty")); }), HasSubstr("found none"));
}

}  // namespace
}  // namespace sae::corpus
