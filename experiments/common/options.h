#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace sae {

/// "a,b" as a and b; what stands between two commas may be empty.
std::vector<std::string> split_at_commas(std::string_view text);

/// The command line of one program: long options with their help, --config FILE (lines `name = value`, # starts a
/// comment; the command line wins over it), unknown options refused. Every program has --help and --config.
///
///   Options options("harvest", "Stores a language model's activations.");
///   options.text("model", "FILE", "the model, a GGUF file").integer("layer", 22, "N", "after which block");
///   if (!options.parse(argc, argv)) return 0;  // --help was asked for and printed
///   options.get_integer("layer");
class Options {
 public:
  /// `description` opens --help: what the program does, in a few lines, with an example.
  Options(std::string program, std::string description);
  ~Options();
  Options(const Options&) = delete;
  Options& operator=(const Options&) = delete;

  /// A headline in --help; the options declared after it stand below it.
  Options& group(const std::string& title);
  /// An option without a default is absent unless given (see given()).
  Options& flag(const std::string& name, const std::string& help);
  Options& integer(const std::string& name, const char* value, const std::string& help);
  Options& integer(const std::string& name, int64_t preset, const char* value, const std::string& help);
  Options& number(const std::string& name, const char* value, const std::string& help);
  Options& number(const std::string& name, double preset, const char* value, const std::string& help);
  Options& text(const std::string& name, const char* value, const std::string& help);
  Options& text(const std::string& name, const std::string& preset, const char* value, const std::string& help);
  /// Arguments without a name are the values of option `name`, which get_texts() returns.
  Options& positional(const std::string& name, const std::string& help);

  /// False where --help was given: it has been printed, and the program is done. Throws, naming the option, on unknown
  /// or repeated options and on values that are no number.
  bool parse(int argc, const char* const* argv);

  /// Was it on the command line or in the file?
  bool given(const std::string& name) const;
  bool get_flag(const std::string& name) const;
  /// These throw where the option was not given and has no default: a program that needs it says so here.
  int64_t get_integer(const std::string& name) const;
  double get_number(const std::string& name) const;
  std::string get_text(const std::string& name) const;
  std::vector<std::string> get_texts(const std::string& name) const;
  /// "16,32,64" as numbers; throws, naming the option, on anything else.
  std::vector<int64_t> get_integers(const std::string& name) const;
  std::vector<double> get_numbers(const std::string& name) const;
  /// The value, which must lie in [lowest, highest].
  int64_t get_integer(const std::string& name, int64_t lowest, int64_t highest) const;
  double get_number(const std::string& name, double lowest, double highest) const;

  /// Every option in effect, defaults included, as lines that --config reads: `name = value`.
  std::string effective() const;
  /// Writes effective() to a file, replacing it as a whole.
  void write_effective(const std::string& path) const;
  const std::string& program() const;

 private:
  struct Implementation;
  std::unique_ptr<Implementation> implementation_;
};

/// What main() returns: runs `body` and turns an exception into one line "PROGRAM: what happened" on standard error and
/// exit code 1 (2 if `options` had not been parsed: wrong usage).
int run_program(Options& options, int argc, const char* const* argv, const std::function<int()>& body);

}  // namespace sae
