#pragma once

#include <string>

#include "experiments/image_patches/patches.h"
#include "experiments/image_patches/whitening.h"

namespace sae {

struct PatchStoreOptions {
  std::string images;  ///< a folder of photographs
  int64_t shorter_side = 512;
  int64_t patch_side = 12;
  int64_t training_patches = 0, held_out_patches = 0;  ///< the latter for validation and for test each
  double epsilon = 0;                                  ///< Whitening
  uint64_t seed = 0;
};

/// Writes whitened patches as a store, FOLDER/train, FOLDER/validation, FOLDER/test, which every program that reads
/// activations can read. The whitening is fitted to training patches, at most 100,000. Splits that are there are kept
/// where `resume` is set and they were made with the same options; throws where they were not.
void write_patch_stores(const std::string& folder, const PatchStoreOptions& options, bool resume);

}  // namespace sae
