#pragma once

#include <string_view>

namespace sae {

/// The page's own files, experiments/report/page/*, as the build embeds them.
extern const std::string_view page_html, page_style, page_latent_script, page_script;

}  // namespace sae
