#include "experiments/common/options.h"

#include <fmt/format.h>

#include <boost/program_options.hpp>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <optional>
#include <string_view>

#include "engine/error.h"
#include "engine/files/atomic_file.h"

namespace sae {
namespace po = boost::program_options;

namespace {

enum class Kind { flag, integer, number, text, texts };

struct Declared {
  std::string name;
  Kind kind = Kind::text;
  std::optional<std::string> preset;
  std::vector<std::string> values;  // given; empty: the preset holds
  bool given = false;
};

int64_t parse_integer(const std::string& name, std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  CHECK(error == std::errc() && end == text.data() + text.size(), "--{}: expected a whole number, got '{}'", name,
        text);
  return value;
}

double parse_number(const std::string& name, std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  CHECK(error == std::errc() && end == text.data() + text.size() && std::isfinite(value),
        "--{}: expected a number, got '{}'", name, text);
  return value;
}

template <class Parse>
auto parse_list(const std::string& name, std::string_view text, Parse&& parse) {
  std::vector<decltype(parse(name, text))> values;
  for (const std::string& part : split_at_commas(text)) values.push_back(parse(name, part));
  return values;
}

}  // namespace

std::vector<std::string> split_at_commas(std::string_view text) {
  std::vector<std::string> parts;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t comma = std::min(text.find(',', begin), text.size());
    parts.emplace_back(text.substr(begin, comma - begin));
    begin = comma + 1;
  }
  return parts;
}

struct Options::Implementation {
  std::string program;
  std::string description;
  std::vector<po::options_description> groups;
  std::vector<Declared> declared;
  po::positional_options_description positionals;
  std::string positional;

  void declare(const std::string& name, Kind kind, std::optional<std::string> preset, const char* value,
               const std::string& help) {
    if (groups.empty()) groups.emplace_back("Options", 110, 70);
    const std::string shown = preset.has_value() ? fmt::format("{} (default: {})", help, *preset) : help;
    if (kind == Kind::flag) {
      groups.back().add_options()(name.c_str(), po::bool_switch(), shown.c_str());
    } else if (kind == Kind::texts) {
      groups.back().add_options()(name.c_str(), po::value<std::vector<std::string>>()->value_name(value),
                                  shown.c_str());
    } else {
      groups.back().add_options()(name.c_str(), po::value<std::string>()->value_name(value), shown.c_str());
    }
    declared.push_back({name, kind, std::move(preset), {}, false});
  }

  const Declared& find(const std::string& name) const {
    for (const Declared& option : declared) {
      if (option.name == name) return option;
    }
    fail("{}: the program asked for an option '{}' that it did not declare", program, name);
  }

  std::string value_of(const std::string& name) const {
    const Declared& option = find(name);
    if (!option.values.empty()) return option.values.back();
    CHECK(option.preset.has_value(), "--{} is needed (see --help)", name);
    return *option.preset;
  }

  void take(const po::variables_map& values) {
    for (Declared& option : declared) {
      option.values.clear();
      option.given = false;
      const auto found = values.find(option.name);
      if (found == values.end()) continue;
      option.given = !found->second.defaulted();
      switch (option.kind) {
        case Kind::flag:
          option.values = {found->second.as<bool>() ? "true" : "false"};
          break;
        case Kind::integer:
          parse_integer(option.name, found->second.as<std::string>());
          option.values = {found->second.as<std::string>()};
          break;
        case Kind::number:
          parse_number(option.name, found->second.as<std::string>());
          option.values = {found->second.as<std::string>()};
          break;
        case Kind::text:
          option.values = {found->second.as<std::string>()};
          break;
        case Kind::texts:
          option.values = found->second.as<std::vector<std::string>>();
          break;
      }
    }
  }
};

Options::Options(std::string program, std::string description) : implementation_(std::make_unique<Implementation>()) {
  implementation_->program = std::move(program);
  implementation_->description = std::move(description);
}
Options::~Options() = default;

Options& Options::group(const std::string& title) {
  implementation_->groups.emplace_back(title, 110, 70);
  return *this;
}
Options& Options::flag(const std::string& name, const std::string& help) {
  implementation_->declare(name, Kind::flag, std::nullopt, "", help);
  return *this;
}
Options& Options::integer(const std::string& name, const char* value, const std::string& help) {
  implementation_->declare(name, Kind::integer, std::nullopt, value, help);
  return *this;
}
Options& Options::integer(const std::string& name, int64_t preset, const char* value, const std::string& help) {
  implementation_->declare(name, Kind::integer, fmt::format("{}", preset), value, help);
  return *this;
}
Options& Options::number(const std::string& name, const char* value, const std::string& help) {
  implementation_->declare(name, Kind::number, std::nullopt, value, help);
  return *this;
}
Options& Options::number(const std::string& name, double preset, const char* value, const std::string& help) {
  implementation_->declare(name, Kind::number, fmt::format("{}", preset), value, help);
  return *this;
}
Options& Options::text(const std::string& name, const char* value, const std::string& help) {
  implementation_->declare(name, Kind::text, std::nullopt, value, help);
  return *this;
}
Options& Options::text(const std::string& name, const std::string& preset, const char* value, const std::string& help) {
  implementation_->declare(name, Kind::text, preset, value, help);
  return *this;
}
Options& Options::positional(const std::string& name, const std::string& help) {
  implementation_->declare(name, Kind::texts, std::nullopt, "VALUE", help);
  implementation_->positionals.add(name.c_str(), -1);
  implementation_->positional = name;
  return *this;
}

bool Options::parse(int argc, const char* const* argv) {
  Implementation& self = *implementation_;
  po::options_description general("General", 110, 70);
  general.add_options()("config", po::value<std::string>()->value_name("FILE"),
                        "reads options from a file with lines 'name = value'; the command line wins over it")(
      "help", "prints this");
  po::options_description all;
  for (const auto& one : self.groups) all.add(one);
  all.add(general);
  namespace style = po::command_line_style;
  const int without_guessing = style::allow_long | style::long_allow_next | style::long_allow_adjacent;
  po::variables_map values;
  try {
    po::store(
        po::command_line_parser(argc, argv).options(all).positional(self.positionals).style(without_guessing).run(),
        values);
    if (values.count("help") > 0) {
      std::cout << self.description << "\n\nUsage: " << self.program << " [OPTIONS]"
                << (self.positional.empty() ? "" : fmt::format(" [{}...]", self.positional)) << "\n\n"
                << all << std::flush;
      return false;
    }
    if (values.count("config") > 0) {
      const std::string path = values["config"].as<std::string>();
      std::ifstream file(path);
      CHECK(file.good(), "--config: cannot read '{}'", path);
      po::store(po::parse_config_file(file, all), values);
    }
    po::notify(values);
  } catch (const po::error& error) {
    fail("{} (see --help)", error.what());
  }
  self.take(values);
  return true;
}

bool Options::given(const std::string& name) const { return implementation_->find(name).given; }

bool Options::get_flag(const std::string& name) const {
  const Declared& option = implementation_->find(name);
  return !option.values.empty() && option.values[0] == "true";
}

int64_t Options::get_integer(const std::string& name) const {
  return parse_integer(name, implementation_->value_of(name));
}
double Options::get_number(const std::string& name) const {
  return parse_number(name, implementation_->value_of(name));
}
std::string Options::get_text(const std::string& name) const { return implementation_->value_of(name); }
std::vector<std::string> Options::get_texts(const std::string& name) const {
  return implementation_->find(name).values;
}
std::vector<int64_t> Options::get_integers(const std::string& name) const {
  return parse_list(name, implementation_->value_of(name), parse_integer);
}
std::vector<double> Options::get_numbers(const std::string& name) const {
  return parse_list(name, implementation_->value_of(name), parse_number);
}

int64_t Options::get_integer(const std::string& name, int64_t lowest, int64_t highest) const {
  const int64_t value = get_integer(name);
  CHECK(lowest <= value && value <= highest, "--{}: expected {} to {}, got {}", name, lowest, highest, value);
  return value;
}
double Options::get_number(const std::string& name, double lowest, double highest) const {
  const double value = get_number(name);
  CHECK(lowest <= value && value <= highest, "--{}: expected {} to {}, got {}", name, lowest, highest, value);
  return value;
}

std::string Options::effective() const {
  std::string text = fmt::format("# options of {}; give this file back with --config\n", implementation_->program);
  for (const Declared& option : implementation_->declared) {
    std::vector<std::string> values = option.values;
    if (values.empty() && option.preset.has_value()) values.push_back(*option.preset);
    for (const std::string& value : values) {
      // the format of such a file has no way to write these; an empty value would read as none
      const bool writable = !value.empty() && value.find_first_of("#\n\r") == std::string::npos;
      text += writable ? fmt::format("{} = {}\n", option.name, value)
                       : fmt::format("# {}: its value cannot be written in this format\n", option.name);
    }
  }
  return text;
}

void Options::write_effective(const std::string& path) const { write_file(path, effective(), IfExists::replace); }

const std::string& Options::program() const { return implementation_->program; }

int run_program(Options& options, int argc, const char* const* argv, const std::function<int()>& body) {
  bool parsed = false;
  try {
    if (!options.parse(argc, argv)) return 0;
    parsed = true;
    return body();
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}: {}\n", options.program(), error.what());
  }
  return parsed ? 1 : 2;
}

}  // namespace sae
