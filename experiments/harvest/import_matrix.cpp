#include "experiments/harvest/import_matrix.h"

#include <fmt/format.h>

#include <memory>

#include "engine/error.h"
#include "engine/files/npy.h"
#include "engine/files/safetensors.h"

namespace sae {
namespace {

bool is_float(Dtype dtype) { return dtype == Dtype::f32 || dtype == Dtype::f64 || dtype == Dtype::bf16; }

std::string only_matrix(const SafetensorsFile& file) {
  std::string found;
  for (const auto& entry : file.entries()) {
    if (entry.shape.rank() != 2) continue;
    CHECK(found.empty(), "{}: has several matrices ('{}', '{}'); name one with --tensor", file.name(), found,
          entry.name);
    found = entry.name;
  }
  CHECK(!found.empty(), "{}: has no matrix [rows, width]", file.name());
  return found;
}

}  // namespace

ImportedMatrix::ImportedMatrix(const std::string& path, const std::string& tensor, Device& device) {
  Shape shape;
  if (path.ends_with(".npy")) {
    auto file = std::make_shared<NpyFile>(path);
    shape = file->shape();
    CHECK(is_float(file->dtype()), "{}: expected floats, got {}", path, name_of(file->dtype()));
    read_ = [file, &device](int64_t begin, int64_t end) { return file->read_rows(device, begin, end).to(Dtype::f32); };
  } else if (path.ends_with(".safetensors")) {
    const SafetensorsFile file(path);
    const Tensor all = file.read(device, tensor.empty() ? only_matrix(file) : tensor);
    shape = all.shape();
    CHECK(is_float(all.dtype()), "{}: expected floats, got {}", path, all.describe());
    read_ = [all](int64_t begin, int64_t end) { return all.slice_rows(begin, end).to(Dtype::f32); };
  } else {
    fail("--import: expected a .npy or .safetensors file, got '{}'", path);
  }
  CHECK(shape.rank() == 2 && shape.elements() > 0, "{}: expected a matrix [rows, width], got {}", path,
        shape.to_string());
  rows_ = shape.rows();
  width_ = shape.cols();
}

}  // namespace sae
