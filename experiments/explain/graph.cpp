#include "experiments/explain/graph.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>

#include "experiments/common/external_tool.h"

namespace sae {
namespace {

/// A node of the trie: the way to it from the right.
using Path = std::vector<int32_t>;
constexpr int32_t start_token = -2;

struct GraphNode {
  int64_t id = 0;
  double importance = 0;
  double strongest = 0;  // of the patterns that pass
  double value = 0;      // of the pattern that begins here, if any
  int64_t count = 0;
};

std::map<Path, GraphNode> nodes_of(const Explanation& explanation) {
  std::map<Path, GraphNode> nodes;
  for (const TokenPattern& pattern : explanation.patterns) {
    Path path;
    GraphNode* last = nullptr;
    const auto pass = [&](int32_t token, double importance) {
      path.push_back(token);
      last = &nodes.try_emplace(path, GraphNode{static_cast<int64_t>(nodes.size())}).first->second;
      last->importance = std::max(last->importance, importance);
      last->strongest = std::max(last->strongest, pattern.value);
    };
    for (size_t i = pattern.tokens.size(); i-- > 0;) {
      pass(pattern.tokens[i], static_cast<double>(pattern.importance[i]));
    }
    if (pattern.at_start) pass(start_token, 1);
    last->value = pattern.value;
    last->count = pattern.count;
  }
  return nodes;
}

/// White to the full colour, by a share of it.
std::string shade(double share, int red, int green, int blue) {
  const double part = std::clamp(std::isfinite(share) ? share : 1.0, 0.0, 1.0);
  const auto mix = [&](int full) { return static_cast<int>(std::lround(255 - part * (255 - full))); };
  return fmt::format("#{:02x}{:02x}{:02x}", mix(red), mix(green), mix(blue));
}

/// A token as a label: quoted for Graphviz, with leading spaces and line ends visible.
std::string label(const std::string& token) {
  std::string out;
  for (const char c : token) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '&') {
      out += "&amp;";  // a label may hold HTML entities
    } else if (c == '\n') {
      out += "↵";
    } else if (c == '\t') {
      out += "→";
    } else if (c == ' ') {
      out += "␣";
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      out += fmt::format("<0x{:02X}>", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  return out;
}

std::string draw_node(const Path& path, const GraphNode& node, double maximum, const TokenText& text) {
  const int32_t token = path.back();
  const std::string name = token == any_token ? "any token" : token == start_token ? "^" : label(text(token));
  const std::string fill = path.size() == 1     ? shade(maximum > 0 ? node.strongest / maximum : 1, 214, 39, 40)
                           : token == any_token ? std::string("#ffffff")
                                                : shade(node.importance, 66, 133, 214);
  std::string style = token == any_token ? "filled,rounded,dashed" : "filled,rounded";
  if (node.count > 0) style += ",bold";
  const std::string beside = node.count > 0 ? fmt::format(", xlabel=\"{:.3g} ({})\"", node.value, node.count) : "";
  return fmt::format("  n{} [label=\"{}\", fillcolor=\"{}\", style=\"{}\"{}];\n", node.id, name, fill, style, beside);
}

}  // namespace

std::string graph_of(const Explanation& explanation, const TokenText& text) {
  std::string out = fmt::format(
      "digraph latent_{} {{\n  rankdir=LR;\n  graph [fontname=\"DejaVu Sans\", fontsize=11, labelloc=t, "
      "forcelabels=true, "
      "label=\"latent {}, density {:.2g}\"];\n"
      "  node [shape=box, fontname=\"DejaVu Sans\", fontsize=11, height=0.3, margin=\"0.1,0.05\"];\n"
      "  edge [color=\"#808080\", arrowsize=0.6];\n",
      explanation.latent, explanation.latent, explanation.density);
  const std::map<Path, GraphNode> nodes = nodes_of(explanation);
  for (const auto& [path, node] : nodes) {
    out += draw_node(path, node, explanation.maximum, text);
    if (path.size() == 1) continue;
    const Path parent(path.begin(), path.end() - 1);
    out += fmt::format("  n{} -> n{};\n", node.id, nodes.at(parent).id);
  }
  return out + "}\n";
}

void draw_graphs(const std::vector<std::string>& dot_files) {
  constexpr size_t at_once = 64;  // a command line has a limit
  for (size_t begin = 0; begin < dot_files.size(); begin += at_once) {
    const size_t end = std::min(dot_files.size(), begin + at_once);
    std::string command = "dot -Tsvg -O";
    for (size_t i = begin; i < end; ++i) {
      command += fmt::format(" {}", shell_quoted(std::filesystem::absolute(dot_files[i]).string()));
    }
    run_tool(command, "graphviz");
    for (size_t i = begin; i < end; ++i) {
      // -O names an output after its input: x.dot.svg
      std::filesystem::rename(dot_files[i] + ".svg", std::filesystem::path(dot_files[i]).replace_extension(".svg"));
    }
  }
}

}  // namespace sae
