#include "engine/dtype.h"

#include "engine/error.h"

namespace sae {

int64_t size_of(Dtype dtype) {
  switch (dtype) {
    case Dtype::f32:
    case Dtype::i32:
      return 4;
    case Dtype::f64:
    case Dtype::i64:
      return 8;
    case Dtype::bf16:
    case Dtype::u16:
      return 2;
  }
  fail("dtype: unknown value {}", static_cast<int>(dtype));
}

std::string_view name_of(Dtype dtype) {
  switch (dtype) {
    case Dtype::f32:
      return "f32";
    case Dtype::f64:
      return "f64";
    case Dtype::bf16:
      return "bf16";
    case Dtype::i32:
      return "i32";
    case Dtype::i64:
      return "i64";
    case Dtype::u16:
      return "u16";
  }
  fail("dtype: unknown value {}", static_cast<int>(dtype));
}

void refuse_dtype(std::string_view op, Dtype dtype) {
  fail("{}: expected f32 or f64, got {}; convert the tensor first", op, name_of(dtype));
}

}  // namespace sae
