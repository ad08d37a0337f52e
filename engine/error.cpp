#include "engine/error.h"

#include <fmt/format.h>

namespace sae {

void throw_error(fmt::string_view format, fmt::format_args arguments) { throw Error(fmt::vformat(format, arguments)); }

}  // namespace sae
