#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace sae {

/// The bytes of the valid UTF-8 character at the front (Unicode 3.9, table 3-7); 0 where there is none.
size_t character_length(std::string_view text);

/// The text in Unicode's normal form C (canonical composition); bytes that are no valid UTF-8 stay as they are.
std::string compose(std::string_view text);

}  // namespace sae
