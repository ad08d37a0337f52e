#pragma once

#include <array>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "experiments/prepare_text/page.h"

namespace sae::corpus {

enum class Format { html, pod, r_novels, sword, dictionary };

/// What a text is; its share of the corpus is limited by it.
enum class Kind { essay, book, manual, dictionary, own };

struct Source {
  std::string package;
  Format format = Format::html;
  Kind kind = Kind::own;
  std::string licence;
  std::string folder;    // where its text lies inside the package
  std::string left_out;  // shell patterns for names of files, spaces between, or empty
};

std::string_view name_of(Kind kind);

/// The source table: a line a source, tabs between its five or six fields, comments from '#'. `name` is for the error's
/// text. Throws sae::Error with the line for anything else.
std::vector<Source> parse_sources(std::string_view table, std::string_view name);

/// Reads a source's pages from its unpacked package, in the order of their names.
std::vector<Page> read_source(const Source& source, const std::filesystem::path& package);

/// A person's own text: every .txt, .md, .html and .htm file below a folder is a page, in the order of their names.
/// Throws sae::Error when there is none.
std::vector<Page> read_folder(const std::filesystem::path& folder);

}  // namespace sae::corpus
