#include "models/language_model/transformer.h"

#include "engine/error.h"
#include "models/language_model/gguf.h"
#include "models/language_model/llama.h"

namespace sae {

std::string_view name_of(Site site) {
  switch (site) {
    case Site::resid_post:
      return "resid_post";
    case Site::resid_mid:
      return "resid_mid";
    case Site::mlp_out:
      return "mlp_out";
    case Site::attn_out:
      return "attn_out";
  }
  fail("site {} has no name", static_cast<int>(site));
}

Site parse_site(std::string_view text) {
  for (const Site site : {Site::resid_post, Site::resid_mid, Site::mlp_out, Site::attn_out}) {
    if (name_of(site) == text) return site;
  }
  fail("site '{}': expected resid_post, resid_mid, mlp_out or attn_out", text);
}

std::unique_ptr<Transformer> load_transformer(const GgufFile& file, Device& device, Precision precision) {
  const std::string_view architecture = file.text("general.architecture");
  if (architecture == "llama") return load_llama(file, device, precision);
  fail("{}: architecture '{}' is not supported; supported: llama", file.name(), architecture);
}

}  // namespace sae
