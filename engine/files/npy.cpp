#include "engine/files/npy.h"

#include <charconv>
#include <cstring>
#include <string_view>
#include <vector>

#include "engine/error.h"
#include "engine/files/half.h"
#include "engine/files/host_elements.h"

namespace sae {
namespace {

constexpr std::string_view magic = "\x93NUMPY";
constexpr int64_t longest_header = 65536;  // real ones take some 100 bytes

/// Reads the header, the Python literal {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }.
class HeaderParser {
 public:
  HeaderParser(const std::string& file, std::string_view text) : file_(file), text_(text) {}

  void parse() {
    expect("{");
    while (!accept("}")) {
      const std::string_view key = quoted();
      expect(":");
      if (key == "descr") {
        once(has_descr_, key);
        CHECK(!peek("["), "{}: a structured dtype is not supported; save one field of it", file_);
        descr = quoted();
      } else if (key == "fortran_order") {
        once(has_order_, key);
        fortran_order = accept("True");
        if (!fortran_order) expect("False");
      } else if (key == "shape") {
        once(has_shape_, key);
        parse_shape();
      } else {
        fail("{}: unknown key '{}' in the header", file_, key.substr(0, 40));
      }
      if (!accept(",")) {
        expect("}");
        break;
      }
    }
    skip_space();
    CHECK(text_.empty(), "{}: text after the header's end", file_);
    CHECK(has_descr_ && has_order_ && has_shape_, "{}: the header lacks descr, fortran_order or shape", file_);
  }

  std::string_view descr;
  bool fortran_order = false;
  std::vector<int64_t> shape;

 private:
  void skip_space() {
    while (!text_.empty() && (text_[0] == ' ' || text_[0] == '\n')) text_.remove_prefix(1);
  }
  bool peek(std::string_view token) {
    skip_space();
    return text_.starts_with(token);
  }
  bool accept(std::string_view token) {
    if (!peek(token)) return false;
    text_.remove_prefix(token.size());
    return true;
  }
  void expect(std::string_view token) {
    CHECK(accept(token), "{}: the header is damaged: expected '{}' before '{}'", file_, token, text_.substr(0, 20));
  }
  void once(bool& seen, std::string_view key) {
    CHECK(!seen, "{}: the header has '{}' twice", file_, key);
    seen = true;
  }
  std::string_view quoted() {
    expect("'");
    const size_t end = text_.find('\'');
    CHECK(end != std::string_view::npos, "{}: the header is damaged: a quote is not closed", file_);
    const std::string_view value = text_.substr(0, end);
    text_.remove_prefix(end + 1);
    return value;
  }
  void parse_shape() {
    expect("(");
    while (!accept(")")) {
      skip_space();
      int64_t extent = 0;
      const auto [end, error] = std::from_chars(text_.data(), text_.data() + text_.size(), extent);
      CHECK(error == std::errc() && extent >= 0, "{}: the header is damaged: expected an extent before '{}'", file_,
            text_.substr(0, 20));
      text_.remove_prefix(static_cast<size_t>(end - text_.data()));
      CHECK(shape.size() < Shape::max_rank, "{}: expected at most {} dimensions", file_, int{Shape::max_rank});
      shape.push_back(extent);
      if (!accept(",")) {
        expect(")");
        break;
      }
    }
  }

  const std::string& file_;
  std::string_view text_;
  bool has_descr_ = false, has_order_ = false, has_shape_ = false;
};

struct NpyDtype {
  std::string_view descr;
  Dtype dtype;
};
constexpr NpyDtype npy_dtypes[] = {{"<f4", Dtype::f32}, {"<f8", Dtype::f64}, {"<i4", Dtype::i32},
                                   {"<i8", Dtype::i64}, {"<u2", Dtype::u16}, {"<f2", Dtype::f32}};

Dtype find_dtype(const std::string& file, std::string_view descr) {
  for (const NpyDtype& known : npy_dtypes) {
    if (known.descr == descr) return known.dtype;
  }
  CHECK(!descr.starts_with(">"), "{}: its numbers '{}' are big-endian; save it after .astype('<{}')", file,
        descr.substr(0, 20), descr.substr(1, 20));
  fail("{}: dtype '{}' is not supported; save it as <f4, <f8, <f2, <i4, <i8 or <u2 (.astype)", file,
       descr.substr(0, 20));
}

}  // namespace

NpyFile::NpyFile(std::string path) : file_(std::move(path)) {
  constexpr int64_t prefix_bytes = 8;  // magic, major, minor
  const auto prefix = file_.range(0, prefix_bytes, "the format's mark");
  CHECK(std::memcmp(prefix.data(), magic.data(), magic.size()) == 0,
        "{}: is no .npy file (it does not begin with "
        "\\x93NUMPY)",
        name());
  const int major = std::to_integer<int>(prefix[6]);
  CHECK(major >= 1 && major <= 3, "{}: .npy format {} is unknown; 1 to 3 are read", name(), major);
  const int64_t length_bytes = major == 1 ? 2 : 4;
  int64_t length = 0;
  const auto length_field = file_.range(prefix_bytes, length_bytes, "the header's length");
  for (size_t i = 0; i < length_field.size(); ++i) length |= std::to_integer<int64_t>(length_field[i]) << (8 * i);
  CHECK(length <= longest_header, "{}: the header's length is {}, expected at most {}", name(), length, longest_header);
  data_begin_ = prefix_bytes + length_bytes + length;
  const auto header = file_.range(prefix_bytes + length_bytes, length, "the header");

  HeaderParser parser(name(), {reinterpret_cast<const char*>(header.data()), header.size()});
  parser.parse();
  dtype_ = find_dtype(name(), parser.descr);
  is_half_ = parser.descr == "<f2";
  if (parser.shape.empty()) parser.shape.push_back(1);
  try {
    shape_ = Shape(parser.shape);
  } catch (const Error& error) {
    fail("{}: {}", name(), error.what());
  }
  CHECK(!parser.fortran_order || shape_.rank() == 1,
        "{}: is in column-major (Fortran) order; save numpy.ascontiguousarray of it", name());
  const int64_t item_bytes = is_half_ ? 2 : size_of(dtype_);
  const int64_t data_bytes = file_.size() - data_begin_;
  CHECK(data_bytes % item_bytes == 0 && data_bytes / item_bytes == shape_.elements(),
        "{}: shape {} of '{}' needs {} elements of {} bytes after byte {}, but {} bytes are there; {}", name(),
        shape_.to_string(), parser.descr, shape_.elements(), item_bytes, data_begin_, data_bytes,
        data_bytes / item_bytes < shape_.elements() ? "it was cut short" : "something was added to it");
}

Tensor NpyFile::read(Device& device) const { return read_rows(device, 0, shape_.rows()).with_shape(shape_); }

Tensor NpyFile::read_rows(Device& device, int64_t begin, int64_t end) const {
  CHECK(0 <= begin && begin <= end && end <= shape_.rows(), "{}: rows [{}, {}) of {} were asked for", name(), begin,
        end, shape_.rows());
  const int64_t item_bytes = is_half_ ? 2 : size_of(dtype_);
  const int64_t row_bytes = shape_.cols() * item_bytes;
  const auto data = file_.range(data_begin_ + begin * row_bytes, (end - begin) * row_bytes, "the rows");
  const Shape shape = {end - begin, shape_.cols()};
  if (is_half_) {
    std::vector<float> values(data.size() / 2);
    for (size_t i = 0; i < values.size(); ++i) {
      uint16_t half = 0;
      std::memcpy(&half, data.data() + 2 * i, sizeof(half));
      values[i] = half_to_float(half);
    }
    return Tensor::from(device, shape, values);
  }
  Writable out = Tensor::empty(device, shape, dtype_);
  device.copy_from_host(out.raw(), data.data(), data.size());
  return std::move(out).freeze();
}

void write_npy(const std::string& path, const Tensor& tensor, IfExists if_exists) {
  std::string_view descr;
  for (const NpyDtype& known : npy_dtypes) {
    if (descr.empty() && known.dtype == tensor.dtype()) descr = known.descr;
  }
  CHECK(!descr.empty(), "{}: NumPy has no {}; convert the tensor to f32", path, name_of(tensor.dtype()));
  std::string shape;
  for (int axis = 0; axis < tensor.shape().rank(); ++axis) shape += fmt::format("{}, ", tensor.shape()[axis]);
  std::string header = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", descr, shape);
  // The data start at a multiple of 64 bytes, so that a map of the file is aligned.
  constexpr size_t fixed_bytes = 10, alignment = 64;
  header.append((alignment - (fixed_bytes + header.size() + 1) % alignment) % alignment, ' ');
  header += '\n';
  std::string prefix(magic);
  prefix += {'\x01', '\x00', static_cast<char>(header.size() & 0xff), static_cast<char>(header.size() >> 8)};

  AtomicFile file(path, if_exists);
  file.expect_bytes(static_cast<int64_t>(prefix.size() + header.size()) + tensor.bytes());
  file.write(prefix + header);
  std::vector<std::byte> room;
  file.write(host_elements(tensor, room));
  file.commit();
}

}  // namespace sae
