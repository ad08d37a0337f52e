#include "models/language_model/block_weights.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "engine/error.h"
#include "engine/parallel.h"
#include "models/language_model/architectures.h"

namespace sae {
namespace {

/// Rows [begin, end) of a matrix; row r is row stored_row(r) of the file.
template <class T, class StoredRow>
void read_rows(const StoredTensor& tensor, int64_t begin, int64_t end, const StoredRow& stored_row, T* to) {
  const int64_t cols = tensor.shape.cols();
  parallel_for(end - begin, grain_for(cols), [&](int64_t first, int64_t last) {
    std::vector<float> row(static_cast<size_t>(cols));
    for (int64_t r = first; r < last; ++r) {
      tensor.read_row(stored_row(begin + r), row.data());
      for (int64_t j = 0; j < cols; ++j) to[r * cols + j] = static_cast<T>(row[static_cast<size_t>(j)]);
    }
  });
}

/// Rows [begin, end) of the transpose of a tensor [inputs, outputs]; `to` [end - begin, inputs].
template <class T>
void read_transposed(const StoredTensor& tensor, int64_t begin, int64_t end, T* to) {
  const int64_t inputs = tensor.shape.rows();
  constexpr int64_t strip = 64;  // of outputs, so that what is written stays in the cache
  parallel_for((end - begin + strip - 1) / strip, 1, [&](int64_t first_strip, int64_t last_strip) {
    std::array<float, strip> values;
    for (int64_t first = begin + first_strip * strip; first < std::min(end, begin + last_strip * strip);
         first += strip) {
      const int64_t last = std::min(end, first + strip);
      for (int64_t i = 0; i < inputs; ++i) {
        tensor.read(i, first, last, values.data());
        for (int64_t o = first; o < last; ++o) {
          to[(o - begin) * inputs + i] = static_cast<T>(values[static_cast<size_t>(o - first)]);
        }
      }
    }
  });
}

/// write(begin, end, to) gives the weight's rows in the type in which they are kept.
template <class Write>
PackedMatrix pack_rows(Device& device, int64_t rows, int64_t cols, Precision precision, const Tensor& bias,
                       const Write& write) {
  const bool bf16 = PackedMatrix::packed_dtype(device, precision) == Dtype::bf16;
  const auto write_as_kept = [&](int64_t begin, int64_t end, void* to) {
    bf16 ? write(begin, end, static_cast<bfloat16*>(to)) : write(begin, end, static_cast<float*>(to));
  };
  return PackedMatrix::pack(device, rows, cols, precision, write_as_kept, bias);
}

constexpr auto in_order = [](int64_t row) { return row; };

}  // namespace

PackedMatrix pack_stored(const ModelFile& file, const StoredTensor& matrix, Device& device, Precision precision) {
  const auto write = [&](int64_t begin, int64_t end, auto* to) {
    read_rows(matrix, begin, end, in_order, to);
    file.forget_pages();
  };
  return pack_rows(device, matrix.shape.rows(), matrix.shape.cols(), precision, {}, write);
}

const StoredTensor& WeightLoader::use(const std::string& name, const Shape& shape) {
  const StoredTensor& tensor = file_.tensor(name, shape);
  used_.insert(tensor.name);
  return tensor;
}

/// Where row `row` of queries, keys and values under each other lies in a matrix that holds them head by head.
int64_t WeightLoader::stored_row(int64_t row, Rows order) const {
  if (order == Rows::in_order) return row;
  const int64_t dim = form_.attention.head_dim, heads = form_.attention.heads;
  const int64_t part = row / (heads * dim), head = row / dim % heads;
  return (3 * head + part) * dim + row % dim;
}

Tensor WeightLoader::biases(const std::vector<Part>& parts, Rows order) {
  int64_t total = 0;
  for (const Part& part : parts) total += part.rows;
  std::vector<float> values;
  for (const Part& part : parts) {
    std::vector<float> stored(static_cast<size_t>(part.rows));
    use(part.name + ".bias", {part.rows}).read_row(0, stored.data());
    for (int64_t r = 0; r < part.rows; ++r) values.push_back(stored[static_cast<size_t>(stored_row(r, order))]);
  }
  return Tensor::from(device_, {total}, values);
}

/// All tensors are checked before room is made.
PackedMatrix WeightLoader::product(const std::vector<Part>& parts, int64_t inputs, bool biased, Rows order) {
  std::vector<const StoredTensor*> tensors;
  int64_t total = 0;
  for (const Part& part : parts) {
    const Shape shape = form_.transposed ? Shape{inputs, part.rows} : Shape{part.rows, inputs};
    tensors.push_back(&use(part.name + ".weight", shape));
    total += part.rows;
  }
  const auto write = [&](int64_t begin, int64_t end, auto* to) {
    int64_t part_begin = 0;
    for (size_t i = 0; i < parts.size(); part_begin += parts[i++].rows) {
      const int64_t first = std::max(begin, part_begin), last = std::min(end, part_begin + parts[i].rows);
      if (first >= last) continue;
      auto* rows = to + (first - begin) * inputs;
      const auto row_of_file = [&](int64_t row) { return stored_row(row, order); };
      form_.transposed ? read_transposed(*tensors[i], first - part_begin, last - part_begin, rows)
                       : read_rows(*tensors[i], first - part_begin, last - part_begin, row_of_file, rows);
    }
  };
  return pack_rows(device_, total, inputs, precision_, biased ? biases(parts, order) : Tensor(), write);
}

Tensor WeightLoader::gain(const std::string& name, int64_t width) {
  std::vector<float> values(static_cast<size_t>(width));
  use(name + ".weight", {width}).read_row(0, values.data());
  for (float& value : values) value += static_cast<float>(form_.gain_offset);
  return Tensor::from(device_, {width}, values);
}

NormWeights WeightLoader::norm(const std::string& name) {
  NormWeights norm;
  norm.gain = gain(name, form_.sizes.width);
  if (form_.norm == NormKind::layer) norm.bias = biases({{name, form_.sizes.width}}, Rows::in_order);
  return norm;
}

Tensor WeightLoader::matrix(const std::string& name, int64_t rows, int64_t cols) {
  std::vector<float> values(static_cast<size_t>(rows * cols));
  read_rows(use(name + ".weight", {rows, cols}), 0, rows, in_order, values.data());
  return Tensor::from(device_, {rows, cols}, values);
}

BlockWeights WeightLoader::block(int64_t layer) {
  const auto name = [&](const char* part) { return fmt::format("blk.{}.{}", layer, part); };
  const int64_t q = form_.attention.query_columns(), kv = form_.attention.kv_columns(), width = form_.sizes.width;
  const int64_t head_dim = form_.attention.head_dim, feed_forward = form_.sizes.feed_forward;
  BlockWeights block;
  block.attention_norm = norm(name("attn_norm"));
  block.feed_forward_norm = norm(name("ffn_norm"));
  if (form_.query_key_norm) {
    block.query_gain = gain(name("attn_q_norm"), head_dim);
    block.key_gain = gain(name("attn_k_norm"), head_dim);
  }
  if (form_.output_norms) {
    block.attention_output_gain = gain(name("post_attention_norm"), width);
    block.feed_forward_output_gain = gain(name("post_ffw_norm"), width);
  }
  block.query_key_value = form_.fused_query_key_value
                              ? product({{name("attn_qkv"), q + 2 * kv}}, width, form_.query_key_value_bias,
                                        form_.interleaved_heads ? Rows::interleaved_heads : Rows::in_order)
                              : product({{name("attn_q"), q}, {name("attn_k"), kv}, {name("attn_v"), kv}}, width,
                                        form_.query_key_value_bias);
  block.attention_output = product({{name("attn_output"), width}}, q, form_.attention_output_bias);
  std::vector<Part> up = {{name("ffn_up"), feed_forward}};
  if (is_gated(form_.feed_forward)) up.insert(up.begin(), {name("ffn_gate"), feed_forward});
  block.up = product(up, width, form_.feed_forward_bias);
  block.down = product({{name("ffn_down"), width}}, feed_forward, form_.feed_forward_bias);
  return block;
}

void WeightLoader::check_all_used() const {
  const auto& constants = file_.architecture().constants;
  for (const auto& [name, tensor] : file_.tensors()) {
    const bool constant = std::any_of(constants.begin(), constants.end(), [&key = name](std::string_view end) {
      return std::string_view(key).ends_with(end);
    });
    CHECK(constant || used_.contains(name), "{}: tensor '{}' (at byte {}) is none that a {} of {} layers has",
          tensor.file, name, tensor.offset, form_.sizes.architecture, form_.sizes.layers);
  }
}

}  // namespace sae
