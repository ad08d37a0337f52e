#pragma once

#include <fmt/core.h>

#include <stdexcept>
#include <string>

namespace sae {

/// What every function of the project throws on a caller's mistake or on bad input. The text says what was
/// expected, what came, and what to do.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

[[noreturn]] void throw_error(fmt::string_view format, fmt::format_args arguments);

/// Throws Error with a formatted text.
template <class... Arguments>
[[noreturn]] void fail(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
  throw_error(format, fmt::make_format_args(arguments...));
}

}  // namespace sae

/// Throws sae::Error with the formatted text unless the condition holds. The text is formatted only on failure.
#define CHECK(condition, ...)                   \
  do {                                          \
    if (!(condition)) ::sae::fail(__VA_ARGS__); \
  } while (false)
