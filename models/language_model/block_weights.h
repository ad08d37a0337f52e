#pragma once

#include <set>
#include <string>
#include <vector>

#include "models/language_model/model_file.h"
#include "models/language_model/model_form.h"
#include "ops/matmul/packed_matrix.h"

namespace sae {

/// The gain and, of a layer norm, the bias of a normalisation: f32 [width].
struct NormWeights {
  Tensor gain, bias;
};

/// The weights of one block; what its form does not have is left empty.
struct BlockWeights {
  NormWeights attention_norm, feed_forward_norm;
  Tensor query_gain, key_gain;                             // [head_dim]
  Tensor attention_output_gain, feed_forward_output_gain;  // [width]
  PackedMatrix query_key_value;                            // [query + 2 kv columns, width]
  PackedMatrix attention_output;                           // [width, query columns]
  PackedMatrix up;    // [feed_forward, width], or [2 feed_forward, width]: gate, up
  PackedMatrix down;  // [width, feed_forward]
};

/// A matrix of a file, packed a strip at a time; neither it nor the file's pages stand in memory beside that.
PackedMatrix pack_stored(const ModelFile& file, const StoredTensor& matrix, Device& device, Precision precision);

/// Reads and packs the weights that a form asks for, each once, and then knows which tensors of the file nobody read.
class WeightLoader {
 public:
  WeightLoader(const ModelFile& file, const ModelForm& form, Device& device, Precision precision)
      : file_(file), form_(form), device_(device), precision_(precision) {}

  BlockWeights block(int64_t layer);
  NormWeights norm(const std::string& name);
  /// A matrix as f32.
  Tensor matrix(const std::string& name, int64_t rows, int64_t cols);
  /// Marks the tensor as read, for rows that are decoded later.
  const StoredTensor& use(const std::string& name, const Shape& shape);
  /// Throws, naming it, where the file holds a weight that was not read: the model is then another than was thought.
  void check_all_used() const;

 private:
  /// How the rows of a matrix lie in the file.
  enum class Rows { in_order, interleaved_heads };
  struct Part {
    std::string name;  // without .weight and .bias
    int64_t rows;
  };
  PackedMatrix product(const std::vector<Part>& parts, int64_t inputs, bool biased, Rows order = Rows::in_order);
  Tensor biases(const std::vector<Part>& parts, Rows order);
  Tensor gain(const std::string& name, int64_t width);
  int64_t stored_row(int64_t row, Rows order) const;

  const ModelFile& file_;
  const ModelForm& form_;
  Device& device_;
  Precision precision_;
  std::set<std::string, std::less<>> used_;  // under the file's own names
};

}  // namespace sae
