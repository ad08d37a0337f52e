#include "models/language_model/block_weights.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "engine/error.h"
#include "engine/parallel.h"
#include "models/language_model/architectures.h"

namespace sae {
namespace {

/// All rows of a matrix; row r is row stored_row(r) of the file.
template <class T, class StoredRow>
void read_rows(const StoredTensor& tensor, const StoredRow& stored_row, T* to) {
  const int64_t cols = tensor.shape.cols();
  parallel_for(tensor.shape.rows(), grain_for(cols), [&](int64_t begin, int64_t end) {
    std::vector<float> row(static_cast<size_t>(cols));
    for (int64_t r = begin; r < end; ++r) {
      tensor.read_row(stored_row(r), row.data());
      for (int64_t j = 0; j < cols; ++j) to[r * cols + j] = static_cast<T>(row[static_cast<size_t>(j)]);
    }
  });
}

/// `rows` x `cols` of `dtype`, filled in the host's memory by fill(elements), on the device.
template <class Fill>
Tensor filled(Device& host, Device& device, int64_t rows, int64_t cols, Dtype dtype, Fill&& fill) {
  Writable values = Tensor::empty(host, {rows, cols}, dtype);
  dtype == Dtype::bf16 ? fill(values.data<bfloat16>()) : fill(values.data<float>());
  return std::move(values).freeze().to(device);
}

constexpr auto in_order = [](int64_t row) { return row; };

}  // namespace

PackedMatrix pack_stored(const StoredTensor& matrix, Device& device, Precision precision) {
  std::unique_ptr<Device> own;
  if (device.kind() != DeviceKind::cpu) own = Device::open(DeviceKind::cpu);
  const Dtype dtype = PackedMatrix::packed_dtype(device, precision);
  const auto fill = [&](auto* to) { read_rows(matrix, in_order, to); };
  return PackedMatrix::pack(filled(own ? *own : device, device, matrix.shape.rows(), matrix.shape.cols(), dtype, fill),
                            precision);
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

/// The tensor is [inputs, outputs]; `to` [outputs, inputs].
template <class T>
void WeightLoader::read_transposed(const StoredTensor& tensor, T* to) const {
  const int64_t inputs = tensor.shape.rows(), outputs = tensor.shape.cols();
  constexpr int64_t strip = 64;  // of outputs, so that what is written stays in the cache
  parallel_for((outputs + strip - 1) / strip, 1, [&](int64_t begin, int64_t end) {
    std::array<float, strip> values;
    for (int64_t first = begin * strip; first < std::min(outputs, end * strip); first += strip) {
      const int64_t last = std::min(outputs, first + strip);
      for (int64_t i = 0; i < inputs; ++i) {
        tensor.read(i, first, last, values.data());
        for (int64_t o = first; o < last; ++o) {
          to[o * inputs + i] = static_cast<T>(values[static_cast<size_t>(o - first)]);
        }
      }
    }
  });
}

/// All are checked before room is made.
Tensor WeightLoader::stacked(const std::vector<Part>& parts, int64_t inputs, Dtype dtype, Rows order) {
  std::vector<const StoredTensor*> tensors;
  int64_t total = 0;
  for (const Part& part : parts) {
    const Shape shape = form_.transposed ? Shape{inputs, part.rows} : Shape{part.rows, inputs};
    tensors.push_back(&use(part.name + ".weight", shape));
    total += part.rows;
  }
  return filled(host(), device_, total, inputs, dtype, [&](auto* to) {
    for (const StoredTensor* tensor : tensors) {
      form_.transposed ? read_transposed(*tensor, to)
                       : read_rows(
                             *tensor, [&](int64_t row) { return stored_row(row, order); }, to);
      to += tensor->shape.elements();
    }
  });
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

PackedMatrix WeightLoader::product(const std::vector<Part>& parts, int64_t inputs, bool biased, Rows order) {
  // in the packed copy's own dtype: no weight ever stands in memory in more bytes than it is kept in
  const Tensor weights = stacked(parts, inputs, PackedMatrix::packed_dtype(device_, precision_), order);
  return PackedMatrix::pack(weights, precision_, biased ? biases(parts, order) : Tensor());
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
  const StoredTensor& tensor = use(name + ".weight", {rows, cols});
  return filled(host(), device_, rows, cols, Dtype::f32, [&](auto* to) { read_rows(tensor, in_order, to); });
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
    const bool constant = std::any_of(constants.begin(), constants.end(),
                                      [&](std::string_view end) { return std::string_view(name).ends_with(end); });
    CHECK(constant || used_.contains(name), "{}: tensor '{}' (at byte {}) is none that a {} of {} layers has",
          tensor.file, name, tensor.offset, form_.sizes.architecture, form_.sizes.layers);
  }
}

}  // namespace sae
