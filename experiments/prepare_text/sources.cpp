#include "experiments/prepare_text/sources.h"

#include <fnmatch.h>

#include <algorithm>
#include <utility>

#include "engine/error.h"
#include "experiments/prepare_text/bytes.h"
#include "experiments/prepare_text/dictionary_text.h"
#include "experiments/prepare_text/html_text.h"
#include "experiments/prepare_text/plain_text.h"
#include "experiments/prepare_text/r_data.h"
#include "experiments/prepare_text/sword_text.h"

namespace sae::corpus {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::pair<std::string_view, Format>, 5> formats = {{{"html", Format::html},
                                                                         {"pod", Format::pod},
                                                                         {"r-novels", Format::r_novels},
                                                                         {"sword", Format::sword},
                                                                         {"dictionary", Format::dictionary}}};
constexpr std::array<std::pair<std::string_view, Kind>, 5> kinds = {{{"essay", Kind::essay},
                                                                     {"book", Kind::book},
                                                                     {"manual", Kind::manual},
                                                                     {"dictionary", Kind::dictionary},
                                                                     {"own", Kind::own}}};

template <class Enum, size_t count>
Enum find_name(const std::array<std::pair<std::string_view, Enum>, count>& names, std::string_view name,
               std::string_view what, std::string_view place) {
  for (const auto& [key, value] : names) {
    if (key == name) return value;
  }
  fail("{}: '{}' is no {} of text", place, name, what);
}

std::vector<std::string> split_fields(std::string_view line, char separator) {
  std::vector<std::string> fields;
  while (true) {
    const size_t end = line.find(separator);
    fields.emplace_back(line.substr(0, end));
    if (end == std::string_view::npos) return fields;
    line.remove_prefix(end + 1);
  }
}

// The regular files below a folder with one of the endings, as paths relative to it, sorted by their bytes.
std::vector<std::string> list_files(const fs::path& folder, const std::vector<std::string_view>& endings) {
  std::error_code error;
  CHECK(fs::is_directory(folder, error), "{}: expected a folder, but there is none", folder.string());
  std::vector<std::string> files;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder)) {
    const std::string extension = entry.path().extension().string();
    if (!entry.is_regular_file() || entry.is_symlink()) continue;
    if (std::find(endings.begin(), endings.end(), extension) == endings.end()) continue;
    files.push_back(fs::relative(entry.path(), folder).generic_string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

// The file beside `file` with another ending.
std::string read_companion(const fs::path& file, const char* ending) {
  return read_bytes(fs::path(file).replace_extension(ending));
}

std::vector<Page> read_novels(const fs::path& index_file) {
  const std::string index = read_bytes(index_file);
  std::vector<Page> pages;
  for (const auto& [name, lines] :
       read_lazy_load_strings(index, read_companion(index_file, ".rdb"), index_file.string())) {
    std::string text;
    for (const std::string& line : lines) text += line + '\n';
    for (Page& page : chapters(text, name)) pages.push_back(std::move(page));
  }
  return pages;
}

std::vector<Page> read_dictionary(const fs::path& index_file) {
  const std::string compressed = read_companion(index_file, ".dict.dz");
  const std::string text = inflate(compressed, largest_inflated_size(compressed), index_file.string());
  return dictionary_pages(read_bytes(index_file), text, index_file.stem().string());
}

std::vector<std::string_view> endings_of(Format format) {
  switch (format) {
    case Format::html:
      return {".html", ".htm"};
    case Format::pod:
      return {".pod"};
    case Format::r_novels:
      return {".rdx"};
    case Format::sword:
      return {".bzs"};
    case Format::dictionary:
      return {".index"};
  }
  return {};
}

std::vector<Page> read_pages(Format format, const fs::path& file, const std::string& name) {
  switch (format) {
    case Format::html:
      return {{name, html_blocks(read_bytes(file), file.string())}};
    case Format::pod:
      return {{name, pod_blocks(read_bytes(file))}};
    case Format::r_novels:
      return read_novels(file);
    case Format::sword:
      return sword_chapters(read_bytes(file), read_companion(file, ".bzz"), file.string());
    case Format::dictionary:
      return read_dictionary(file);
  }
  return {};
}

}  // namespace

std::string_view name_of(Kind kind) {
  for (const auto& [name, value] : kinds) {
    if (value == kind) return name;
  }
  return "";
}

std::vector<Source> parse_sources(std::string_view table, std::string_view name) {
  std::vector<Source> sources;
  for (int64_t number = 1; !table.empty(); ++number) {
    const size_t end = std::min(table.find('\n'), table.size());
    const std::string_view line = table.substr(0, end);
    table.remove_prefix(std::min(end + 1, table.size()));
    if (line.empty() || line.starts_with('#')) continue;
    const std::string place = fmt::format("{}:{}", name, number);
    const std::vector<std::string> fields = split_fields(line, '\t');
    CHECK(fields.size() == 5 || fields.size() == 6, "{}: expected five or six fields with tabs between, got {}", place,
          fields.size());
    sources.push_back({fields[0], find_name(formats, fields[1], "format", place),
                       find_name(kinds, fields[2], "kind", place), fields[3], fields[4],
                       fields.size() == 6 ? fields[5] : ""});
  }
  CHECK(!sources.empty(), "{}: expected at least one source", name);
  return sources;
}

std::vector<Page> read_source(const Source& source, const std::filesystem::path& package) {
  const fs::path folder = package / source.folder;
  const std::vector<std::string> left_out = split_fields(source.left_out, ' ');
  std::vector<Page> pages;
  for (const std::string& file : list_files(folder, endings_of(source.format))) {
    const std::string base = fs::path(file).filename().string();
    const bool skip = std::any_of(left_out.begin(), left_out.end(), [&](const std::string& pattern) {
      return fnmatch(pattern.c_str(), base.c_str(), 0) == 0;
    });
    if (skip) continue;
    for (Page& page : read_pages(source.format, folder / file, file)) pages.push_back(std::move(page));
  }
  CHECK(!pages.empty(), "{}: found no text of package '{}' there; has its layout changed?", folder.string(),
        source.package);
  return pages;
}

std::vector<Page> read_folder(const std::filesystem::path& folder) {
  std::vector<Page> pages;
  for (const std::string& file : list_files(folder, {".txt", ".md", ".html", ".htm"})) {
    const fs::path path = folder / file;
    const std::string bytes = read_bytes(path);
    if (file.ends_with(".txt")) {
      pages.push_back({file, paragraphs(bytes)});
    } else if (file.ends_with(".md")) {
      pages.push_back({file, markdown_blocks(bytes, path.string())});
    } else {
      pages.push_back({file, html_blocks(bytes, path.string())});
    }
  }
  CHECK(!pages.empty(), "{}: expected .txt, .md or .html files there, found none", folder.string());
  return pages;
}

}  // namespace sae::corpus
