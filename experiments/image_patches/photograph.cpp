#include "experiments/image_patches/photograph.h"

// jpeglib.h wants these before it.
#include <csetjmp>
#include <cstddef>
#include <cstdio>
// clang-format off
#include <jpeglib.h>
#include <jerror.h>
// clang-format on

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <span>

#include "engine/error.h"
#include "engine/files/mapped_file.h"

namespace sae {
namespace {

constexpr int64_t most_pixels = int64_t{64} << 20;
constexpr int most_scans = 100;

/// libjpeg reports errors by a call that must not return. A longjmp out of it ends the member function of JpegDecoder
/// that called libjpeg; these functions therefore hold nothing that needs a destructor.
class JpegDecoder {
 public:
  explicit JpegDecoder(std::span<const std::byte> file) : file_(file) {
    decoder_.err = jpeg_std_error(&errors_);
    errors_.error_exit = [](j_common_ptr common) { give_up(common); };
    errors_.emit_message = [](j_common_ptr common, int level) {
      // Below 0: the data are damaged, and libjpeg would make something up. Bytes between markers harm nothing.
      if (level < 0 && common->err->msg_code != JWRN_EXTRANEOUS_DATA) give_up(common);
    };
    decoder_.client_data = this;
  }
  ~JpegDecoder() { jpeg_destroy_decompress(&decoder_); }
  JpegDecoder(const JpegDecoder&) = delete;
  JpegDecoder& operator=(const JpegDecoder&) = delete;

  /// False: message() says why not.
  bool read_header() {
    if (setjmp(exit_) != 0) return false;
    jpeg_create_decompress(&decoder_);
    progress_.progress_monitor = [](j_common_ptr common) {
      JpegDecoder& self = *static_cast<JpegDecoder*>(common->client_data);
      if (self.decoder_.input_scan_number > most_scans) self.leave("it has more than 100 scans");
    };
    decoder_.progress = &progress_;
    jpeg_mem_src(&decoder_, reinterpret_cast<const unsigned char*>(file_.data()),
                 static_cast<unsigned long>(file_.size()));
    jpeg_read_header(&decoder_, TRUE);
    return true;
  }
  int64_t width() const { return decoder_.image_width; }
  int64_t height() const { return decoder_.image_height; }

  /// Shrinks to `eighths` / 8. Due after read_header.
  bool start(unsigned eighths) {
    if (setjmp(exit_) != 0) return false;
    decoder_.scale_num = eighths;
    decoder_.scale_denom = 8;
    decoder_.out_color_space = JCS_GRAYSCALE;
    jpeg_start_decompress(&decoder_);
    return true;
  }
  int64_t output_width() const { return decoder_.output_width; }
  int64_t output_height() const { return decoder_.output_height; }

  /// out: [output_height, output_width]
  bool decode(uint8_t* out) {
    if (setjmp(exit_) != 0) return false;
    while (decoder_.output_scanline < decoder_.output_height) {
      JSAMPROW row = out + static_cast<size_t>(decoder_.output_scanline) * decoder_.output_width;
      jpeg_read_scanlines(&decoder_, &row, 1);
    }
    jpeg_finish_decompress(&decoder_);
    return true;
  }

  const char* message() const { return message_; }

 private:
  [[noreturn]] static void give_up(j_common_ptr common) {
    JpegDecoder& self = *static_cast<JpegDecoder*>(common->client_data);
    common->err->format_message(common, self.message_);
    std::longjmp(self.exit_, 1);
  }
  [[noreturn]] void leave(const char* reason) {
    std::snprintf(message_, sizeof message_, "%s", reason);
    std::longjmp(exit_, 1);
  }

  std::span<const std::byte> file_;
  jpeg_decompress_struct decoder_{};
  jpeg_error_mgr errors_{};
  jpeg_progress_mgr progress_{};
  std::jmp_buf exit_;
  char message_[JMSG_LENGTH_MAX] = "";
};

}  // namespace

GreyImage read_jpeg(const std::string& path, int64_t shorter_side) {
  const MappedFile file(path);
  JpegDecoder decoder(file.bytes());
  CHECK(decoder.read_header(), "{}: cannot be read as a JPEG image: {}", path, decoder.message());
  CHECK(decoder.width() * decoder.height() <= most_pixels, "{}: {} x {} pixels; at most {} megapixels are read", path,
        decoder.width(), decoder.height(), most_pixels >> 20);
  int64_t eighths = 1;
  while (eighths < 8 && std::min(decoder.width(), decoder.height()) * eighths < 8 * shorter_side) ++eighths;
  CHECK(decoder.start(static_cast<unsigned>(eighths)), "{}: cannot be decoded: {}", path, decoder.message());
  GreyImage image{decoder.output_width(), decoder.output_height(), {}};
  image.pixels.resize(static_cast<size_t>(image.width * image.height));
  CHECK(decoder.decode(image.pixels.data()), "{}: is damaged: {}", path, decoder.message());
  return image;
}

std::vector<std::string> photograph_files(const std::string& folder) {
  namespace fs = std::filesystem;
  CHECK(fs::is_directory(folder), "{}: is no folder; expected one with photographs (.jpg, .jpeg)", folder);
  std::vector<std::string> files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    std::string ending = entry.path().extension();
    std::transform(ending.begin(), ending.end(), ending.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    if (entry.is_regular_file() && (ending == ".jpg" || ending == ".jpeg")) files.push_back(entry.path());
  }
  CHECK(!files.empty(), "{}: holds no photographs; expected files named .jpg or .jpeg", folder);
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace sae
