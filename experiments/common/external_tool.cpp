#include "experiments/common/external_tool.h"

#include <cstdlib>

#include "engine/error.h"

namespace sae {

std::string shell_quoted(const std::string& text) {
  std::string out(1, '\'');
  for (const char c : text) {
    if (c == '\'') {
      out += "'\\''";
    } else {
      out += c;
    }
  }
  return out + '\'';
}

void run_tool(const std::string& command, const std::string& debian_package) {
  const int code = std::system(command.c_str());
  CHECK(code == 0, "'{}' failed (exit code {}); is it installed (Debian: {})?", command, code, debian_package);
}

}  // namespace sae
