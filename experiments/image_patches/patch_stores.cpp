#include "experiments/image_patches/patch_stores.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "engine/files/activation_writer.h"
#include "experiments/common/progress.h"

namespace sae {
namespace {

constexpr int64_t most_fitted = 100'000, block = 8192;

std::vector<GreyImage> read_photographs(const std::vector<std::string>& files, int64_t shorter_side) {
  std::vector<GreyImage> photographs;
  Progress progress("photographs", static_cast<int64_t>(files.size()), "files");
  for (const std::string& file : files) {
    photographs.push_back(read_jpeg(file, shorter_side));
    progress.update(static_cast<int64_t>(photographs.size()));
  }
  return photographs;
}

}  // namespace

void write_patch_stores(const std::string& folder, const PatchStoreOptions& options, bool resume) {
  const std::vector<std::string> files = photograph_files(options.images);
  std::string names;
  for (const std::string& file : files) {
    names += fmt::format("{}{}", names.empty() ? "" : " ", std::filesystem::path(file).filename().string());
  }
  const PatchSampler sampler(read_photographs(files, options.shorter_side), options.patch_side, options.seed);
  const int64_t fitted = std::min(options.training_patches, most_fitted);
  const Whitening whitening = Whitening::fit(sampler.rows(Split::train, 0, fitted), sampler.width(), options.epsilon);
  for (const Split split : splits) {
    const int64_t count = split == Split::train ? options.training_patches : options.held_out_patches;
    const std::string text = fmt::format("{0} x {0} patches of {1} photographs, ZCA", options.patch_side, files.size());
    ActivationWriter writer(folder + "/" + std::string(name_of(split)),
                            {.model = text,
                             .site = "whitened patches",
                             .split = std::string(name_of(split)),
                             .width = sampler.width(),
                             .notes = {{"photographs", names},
                                       {"shorter_side", std::to_string(options.shorter_side)},
                                       {"patches", std::to_string(count)},
                                       {"fitted_patches", std::to_string(fitted)},
                                       {"epsilon", fmt::format("{}", options.epsilon)},
                                       {"seed", std::to_string(options.seed)}}},
                            resume ? IfStoreExists::resume : IfStoreExists::refuse);
    for (int64_t begin = writer.rows(); begin < count && !writer.is_finished(); begin += block) {
      std::vector<float> rows = sampler.rows(split, begin, std::min(block, count - begin));
      whitening.apply(rows);
      writer.append(rows);
    }
    if (!writer.is_finished()) writer.finish();
  }
}

}  // namespace sae
