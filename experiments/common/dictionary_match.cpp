#include "experiments/common/dictionary_match.h"

#include <algorithm>

#include "engine/parameter.h"
#include "experiments/common/assignment.h"
#include "ops/matmul/matmul.h"
#include "ops/unit_norm/unit_norm.h"

namespace sae {

Tensor unit_rows(const Tensor& matrix) {
  Parameter rows("rows", matrix.clone());
  normalise_rows(rows);
  return rows.value();
}

DictionaryMatch match_dictionary(const Tensor& decoder, const Tensor& directions) {
  const int64_t features = directions.rows(), latents = decoder.rows();
  const Tensor cosines =
      dense_product(unit_rows(directions.to(Dtype::f64)), false, unit_rows(decoder.to(Dtype::f64)), true);
  // The smaller side is matched whole.
  const bool features_first = features <= latents;
  const int64_t rows = std::min(features, latents), columns = std::max(features, latents);
  std::vector<double> score(static_cast<size_t>(rows * columns));
  for (int64_t f = 0; f < features; ++f) {
    for (int64_t l = 0; l < latents; ++l) {
      score[static_cast<size_t>(features_first ? f * columns + l : l * columns + f)] =
          cosines.data<double>()[f * latents + l];
    }
  }
  const std::vector<int64_t> match = best_assignment(score, rows, columns);
  DictionaryMatch result;
  for (int64_t row = 0; row < rows; ++row) {
    const double cosine = score[static_cast<size_t>(row * columns + match[static_cast<size_t>(row)])];
    result.mean_cosine += cosine / static_cast<double>(features);
    result.found += (cosine > 0.9) / static_cast<double>(features);
  }
  return result;
}

}  // namespace sae
