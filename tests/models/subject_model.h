#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

namespace sae::testing {

/// Where experiments/fetch.sh puts the subject model of 98 MB.
inline std::string subject_model_path() {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  const char* home = std::getenv("HOME");
  const std::string base =
      cache != nullptr && *cache != '\0' ? cache : std::string(home == nullptr ? "" : home) + "/.cache";
  return base + "/sae.cpp/models/SmolLM2-135M-Instruct.Q4_1.gguf";
}

}  // namespace sae::testing

/// Sets `path`, or ends the test: it fails where the model is missing, because a test that quietly looks at nothing
/// proves nothing; SAE_TEST_WITHOUT_MODEL=1 says that the caller knows, and skips.
#define REQUIRE_SUBJECT_MODEL(path)                                                                             \
  const std::string path = ::sae::testing::subject_model_path();                                                \
  if (!std::filesystem::exists(path)) {                                                                         \
    const char* known = std::getenv("SAE_TEST_WITHOUT_MODEL");                                                  \
    if (known != nullptr && std::string(known) == "1") GTEST_SKIP() << "SAE_TEST_WITHOUT_MODEL=1";              \
    FAIL() << "the subject model is not at " << path                                                            \
           << "; run 'experiments/fetch.sh --model', or set SAE_TEST_WITHOUT_MODEL=1 to leave these tests out"; \
  }
