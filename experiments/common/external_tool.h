#pragma once

#include <string>

namespace sae {

/// A text as one word of a shell command.
std::string shell_quoted(const std::string& text);

/// Runs `command` by the shell. Throws where it fails, with the command and the Debian package that brings it.
void run_tool(const std::string& command, const std::string& debian_package);

}  // namespace sae
