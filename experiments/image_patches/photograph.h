#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace sae {

/// A greyscale image, its rows from the top: 0 is black, 255 white.
struct GreyImage {
  int64_t width = 0, height = 0;
  std::vector<uint8_t> pixels;  // [height, width]
};

/// The luminance of a JPEG file, shrunk while it is decoded to an eighth, two eighths, ... or left as it is: by as much
/// as leaves the shorter side `shorter_side` pixels. Photographs of many megapixels are blurred and noisy pixel by
/// pixel; shrunk they are sharp.
/// Throws, naming file and reason, on what is no JPEG, on damaged or cut files, colours that have no luminance (CMYK),
/// more than 64 megapixels or 100 scans, before memory or time go beyond what these take.
GreyImage read_jpeg(const std::string& path, int64_t shorter_side);

/// The .jpg and .jpeg files of a folder, sorted by name. Throws where there is no folder or none in it.
std::vector<std::string> photograph_files(const std::string& folder);

}  // namespace sae
