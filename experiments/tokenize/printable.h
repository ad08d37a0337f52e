#pragma once

#include <string>
#include <string_view>

namespace sae {

/// The text with every byte that is no part of a valid UTF-8 character written as <0xE6>.
std::string printable(std::string_view bytes);

}  // namespace sae
