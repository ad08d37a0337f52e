#include "experiments/image_patches/photograph.h"

// jpeglib.h wants these before it.
#include <cstddef>
#include <cstdio>
// clang-format off
#include <jpeglib.h>
// clang-format on

#include <cstdlib>

#include "tests/support/damage.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tensors.h"

namespace sae {
namespace {

/// A JPEG file of these pixels, [height, width, components].
std::string jpeg(const std::vector<uint8_t>& pixels, unsigned width, int components, bool progressive = false) {
  jpeg_compress_struct encoder{};
  jpeg_error_mgr errors{};
  encoder.err = jpeg_std_error(&errors);
  jpeg_create_compress(&encoder);
  unsigned char* bytes = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&encoder, &bytes, &size);
  encoder.image_width = width;
  encoder.image_height = static_cast<unsigned>(pixels.size()) / width / static_cast<unsigned>(components);
  encoder.input_components = components;
  encoder.in_color_space = components == 1 ? JCS_GRAYSCALE : components == 3 ? JCS_RGB : JCS_CMYK;
  jpeg_set_defaults(&encoder);
  jpeg_set_quality(&encoder, 100, TRUE);
  if (progressive) jpeg_simple_progression(&encoder);
  jpeg_start_compress(&encoder, TRUE);
  while (encoder.next_scanline < encoder.image_height) {
    const size_t row = static_cast<size_t>(encoder.next_scanline) * width * static_cast<size_t>(components);
    JSAMPROW pointer = const_cast<uint8_t*>(pixels.data()) + row;
    jpeg_write_scanlines(&encoder, &pointer, 1);
  }
  jpeg_finish_compress(&encoder);
  std::string file(reinterpret_cast<char*>(bytes), size);
  jpeg_destroy_compress(&encoder);
  std::free(bytes);
  return file;
}

/// A ramp, dark on the left.
std::vector<uint8_t> ramp(int64_t width, int64_t height) {
  std::vector<uint8_t> pixels;
  for (int64_t i = 0; i < width * height; ++i) pixels.push_back(static_cast<uint8_t>(i % width * 255 / (width - 1)));
  return pixels;
}

TEST(Photograph, GreyPixelsComeBack) {
  const TemporaryFolder folder;
  const std::vector<uint8_t> pixels = ramp(24, 16);
  for (const bool progressive : {false, true}) {
    const GreyImage image = read_jpeg(folder.write("a.jpg", jpeg(pixels, 24, 1, progressive)), 1000);
    ASSERT_EQ(image.width, 24);
    ASSERT_EQ(image.height, 16);
    for (size_t i = 0; i < pixels.size(); ++i) EXPECT_NEAR(image.pixels[i], pixels[i], 2) << i;
  }
}

TEST(Photograph, ColoursBecomeLuminance) {
  const TemporaryFolder folder;
  std::vector<uint8_t> red;
  for (int i = 0; i < 16 * 16; ++i) red.insert(red.end(), {255, 0, 0});
  const GreyImage image = read_jpeg(folder.write("a.jpg", jpeg(red, 16, 3)), 16);
  EXPECT_NEAR(image.pixels[100], 0.299 * 255, 2);
}

TEST(Photograph, IsShrunkByEighths) {
  const TemporaryFolder folder;
  const std::string path = folder.write("a.jpg", jpeg(ramp(160, 80), 160, 1));
  const auto size = [&](int64_t shorter_side) {
    const GreyImage image = read_jpeg(path, shorter_side);
    EXPECT_LT(image.pixels.front(), 16);
    EXPECT_GT(image.pixels.back(), 240);
    return std::pair(image.width, image.height);
  };
  EXPECT_EQ(size(10), std::pair(int64_t{20}, int64_t{10}));
  EXPECT_EQ(size(11), std::pair(int64_t{40}, int64_t{20}));
  EXPECT_EQ(size(80), std::pair(int64_t{160}, int64_t{80}));
  EXPECT_EQ(size(500), std::pair(int64_t{160}, int64_t{80}));
}

TEST(Photograph, RefusesWhatItCannotRead) {
  const TemporaryFolder folder;
  EXPECT_REFUSED(read_jpeg(folder.path("none.jpg"), 8), "none.jpg");
  EXPECT_REFUSED(read_jpeg(folder.write("text.jpg", "no image"), 8),
                 "text.jpg: cannot be read as a JPEG image: Not a JPEG");
  const std::vector<uint8_t> cyan(16 * 16 * 4, 100);
  EXPECT_REFUSED(read_jpeg(folder.write("cmyk.jpg", jpeg(cyan, 16, 4)), 8), "cmyk.jpg: cannot be decoded");
  std::string huge = jpeg(ramp(24, 16), 24, 1);
  const size_t frame = huge.find("\xff\xc0");
  ASSERT_NE(frame, std::string::npos);
  for (const size_t byte : {5u, 6u, 7u, 8u}) huge[frame + byte] = '\xf0';  // height and width
  EXPECT_REFUSED(read_jpeg(folder.write("huge.jpg", huge), 8), "huge.jpg: 61680 x 61680 pixels; at most 64 megapixels");
  // The same scan again and again: a small file that would take long.
  std::string scans = jpeg(ramp(24, 16), 24, 1, /*progressive=*/true);
  const size_t second = scans.find("\xff\xda", scans.find("\xff\xda") + 2);
  const size_t third = scans.find("\xff\xc4", second);
  const std::string one = scans.substr(second, third - second);
  for (int i = 0; i < 200; ++i) scans.insert(third, one);
  EXPECT_REFUSED(read_jpeg(folder.write("scans.jpg", scans), 8), "scans.jpg: ");
}

TEST(Photograph, DamagedFilesAreRefusedOrRead) {
  const TemporaryFolder folder;
  const ReadAll read = [&](const std::string& bytes) {
    return std::to_string(read_jpeg(folder.write("a.jpg", bytes), 8).pixels.size());
  };
  for (const bool progressive : {false, true}) {
    const std::string whole = jpeg(ramp(24, 16), 24, 1, progressive);
    expect_truncations_refused(read, whole);
    expect_survives_edits(read, whole, 1, 500);
  }
}

TEST(Photograph, FolderIsListedInOrder) {
  const TemporaryFolder folder;
  EXPECT_REFUSED(photograph_files(folder.path("none")), "is no folder");
  EXPECT_REFUSED(photograph_files(folder.path("")), "holds no photographs");
  folder.write("b.JPG", "x");
  folder.write("a.jpeg", "x");
  folder.write("c.png", "x");
  EXPECT_THAT(photograph_files(folder.path("")), ::testing::ElementsAre(folder.path("a.jpeg"), folder.path("b.JPG")));
}

}  // namespace
}  // namespace sae
