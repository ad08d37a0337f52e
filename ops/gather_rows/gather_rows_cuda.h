#pragma once

#include <cstdint>

#include "engine/stream.h"

namespace sae {

/// to[r] = from[index[r]] for each of `count` rows of `width` elements; from has `rows`. Element: f32, f64 or bf16;
/// Index: i32 or u16. Returns the first place whose index lies outside [0, rows), or -1; waits for that.
SIMT_DECLARE(template <class Element, class Index> int64_t gather_rows(Device& device, const Element* from,
                                                                       int64_t rows, int64_t width, const Index* index,
                                                                       int64_t count, Element* to))

}  // namespace sae
