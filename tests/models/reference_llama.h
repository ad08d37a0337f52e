#pragma once

#include <cmath>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "engine/files/half.h"
#include "engine/philox.h"
#include "tests/models/gguf_writer.h"

namespace sae::testing {

using Rows = std::vector<std::vector<double>>;  // a matrix, or one vector a position

/// A llama with random weights, and its forward pass in double, written plainly from the papers: loops over positions,
/// heads and elements, nothing shared with the program's own.
struct ReferenceLlama {
  int layers = 2, width = 64, heads = 4, kv_heads = 2, feed_forward = 96, vocabulary = 17, context = 40;
  double epsilon = 1e-5, base = 500;
  std::map<std::string, Rows> weights;

  int head_dim() const { return width / heads; }

  /// The GGUF file of this model; fills `weights` with what its stored numbers mean.
  GgufWriter write(uint64_t seed) {
    GgufWriter file;
    const auto count = [](int value) { return static_cast<uint32_t>(value); };
    file.text("general.architecture", "llama").integer("llama.block_count", count(layers));
    file.integer("llama.embedding_length", count(width)).integer("llama.feed_forward_length", count(feed_forward));
    file.integer("llama.attention.head_count", count(heads)).integer("llama.context_length", count(context));
    file.integer("llama.attention.head_count_kv", count(kv_heads));
    file.number("llama.rope.freq_base", static_cast<float>(base));
    file.number("llama.attention.layer_norm_rms_epsilon", static_cast<float>(epsilon));
    epsilon = static_cast<double>(static_cast<float>(epsilon));
    // one quantisation after another, so that all are met
    add(file, "token_embd.weight", vocabulary, width, 8, seed);
    for (int layer = 0; layer < layers; ++layer) {
      const std::string block = "blk." + std::to_string(layer) + ".";
      add(file, block + "attn_norm.weight", 1, width, 0, seed);
      add(file, block + "attn_q.weight", width, width, 3, seed);
      add(file, block + "attn_k.weight", kv_heads * head_dim(), width, 1, seed);
      add(file, block + "attn_v.weight", kv_heads * head_dim(), width, 30, seed);
      add(file, block + "attn_output.weight", width, width, 0, seed);
      add(file, block + "ffn_norm.weight", 1, width, 0, seed);
      add(file, block + "ffn_gate.weight", feed_forward, width, 2, seed);
      add(file, block + "ffn_up.weight", feed_forward, width, 3, seed);
      add(file, block + "ffn_down.weight", width, feed_forward, 8, seed);
    }
    add(file, "output_norm.weight", 1, width, 0, seed);
    return file;
  }

  struct Activations {
    std::vector<Rows> resid_mid, resid_post, attn_out, mlp_out;  // by layer
    Rows final_norm, logits;                                     // [positions]
  };

  Activations forward(const std::vector<int32_t>& ids) const {
    Activations found;
    Rows x;
    for (const int32_t id : ids) x.push_back(at("token_embd.weight")[static_cast<size_t>(id)]);
    for (int layer = 0; layer < layers; ++layer) {
      const std::string block = "blk." + std::to_string(layer) + ".";
      const Rows mixed = attend(normed(x, block + "attn_norm.weight"), block);
      found.attn_out.push_back(times(mixed, block + "attn_output.weight"));
      x = sum(x, found.attn_out.back());
      found.resid_mid.push_back(x);
      const Rows n = normed(x, block + "ffn_norm.weight");
      Rows gate = times(n, block + "ffn_gate.weight");
      const Rows up = times(n, block + "ffn_up.weight");
      for (size_t t = 0; t < gate.size(); ++t) {
        for (size_t j = 0; j < gate[t].size(); ++j) gate[t][j] *= up[t][j] / (1 + std::exp(-gate[t][j]));
      }
      found.mlp_out.push_back(times(gate, block + "ffn_down.weight"));
      x = sum(x, found.mlp_out.back());
      found.resid_post.push_back(x);
    }
    found.final_norm = normed(x, "output_norm.weight");
    found.logits = times(found.final_norm, "token_embd.weight");
    return found;
  }

 private:
  const Rows& at(const std::string& name) const { return weights.at(name); }

  /// A matrix of one quantisation with random stored numbers, to the file and, as what they mean, to `weights`.
  void add(GgufWriter& file, const std::string& name, int rows, int cols, uint32_t type, uint64_t seed) {
    const Philox random(seed, weights.size());  // a stream for each tensor
    uint64_t draw = 0;
    const double spread = rows == 1 ? 0.3 : 1 / std::sqrt(static_cast<double>(cols));
    std::string data;
    Rows meaning(static_cast<size_t>(rows));
    for (auto& row : meaning) {
      const int block = type == 0 || type == 1 || type == 30 ? 1 : 32;
      for (int b = 0; b < cols / block; ++b) {
        const double normal = random.normal(draw++);
        if (type == 0) {
          const auto value = static_cast<float>(rows == 1 ? 1 + spread * normal : spread * normal);
          data += GgufWriter::plain(value);
          row.push_back(static_cast<double>(value));
        } else if (type == 1) {
          const uint16_t bits = half(spread * normal);
          data += GgufWriter::plain(bits);
          row.push_back(static_cast<double>(half_to_float(bits)));
        } else if (type == 30) {
          const bfloat16 value(static_cast<float>(spread * normal));
          data += GgufWriter::plain(value.bits);
          row.push_back(static_cast<double>(static_cast<float>(value)));
        } else {
          add_block(type, spread * (0.5 + random.uniform(draw++)), random, draw, data, row);
        }
      }
    }
    std::vector<uint64_t> shape = {static_cast<uint64_t>(cols)};
    if (rows > 1) shape.insert(shape.begin(), static_cast<uint64_t>(rows));
    file.tensor(name, shape, type, data);
    weights[name] = meaning;
  }

  static void add_block(uint32_t type, double spread, const Philox& random, uint64_t& draw, std::string& data,
                        std::vector<double>& row) {
    const double largest = type == 8 ? 64 : 4;
    const uint16_t d = half(spread / largest), m = half(-spread * 2);
    data += GgufWriter::plain(d);
    if (type == 3) data += GgufWriter::plain(m);
    std::vector<int> stored;
    for (int i = 0; i < 32; ++i) {
      stored.push_back(static_cast<int>(random.below(draw++, type == 8 ? 256 : 16)) - (type == 8 ? 128 : 0));
    }
    for (int i = 0; i < (type == 8 ? 32 : 16); ++i) {
      const auto at = static_cast<size_t>(i);
      data += static_cast<char>(type == 8 ? stored[at] : stored[at] | (stored[at + 16] << 4));
    }
    const double scale = static_cast<double>(half_to_float(d)), offset = static_cast<double>(half_to_float(m));
    for (const int q : stored) row.push_back(type == 8 ? q * scale : type == 2 ? (q - 8) * scale : q * scale + offset);
  }

  /// The bits of the half-precision number next to zero from a value of moderate size.
  static uint16_t half(double value) {
    int exponent = 0;
    const double fraction = std::frexp(std::abs(value), &exponent);  // in [1/2, 1)
    if (exponent < -13) return 0;                                    // below the normal numbers
    const auto mantissa = static_cast<uint16_t>(fraction * 2048) & 0x3ffu;
    return static_cast<uint16_t>((value < 0 ? 0x8000u : 0u) | (static_cast<uint32_t>(exponent + 14) << 10) | mantissa);
  }

  Rows times(const Rows& x, const std::string& name) const {
    const Rows& w = at(name);
    Rows y(x.size(), std::vector<double>(w.size()));
    for (size_t t = 0; t < x.size(); ++t) {
      for (size_t i = 0; i < w.size(); ++i) {
        for (size_t j = 0; j < w[i].size(); ++j) y[t][i] += w[i][j] * x[t][j];
      }
    }
    return y;
  }

  static Rows sum(Rows a, const Rows& b) {
    for (size_t t = 0; t < a.size(); ++t) {
      for (size_t j = 0; j < a[t].size(); ++j) a[t][j] += b[t][j];
    }
    return a;
  }

  Rows normed(Rows x, const std::string& name) const {
    for (auto& row : x) {
      double squares = 0;
      for (const double value : row) squares += value * value;
      const double root = std::sqrt(squares / width + epsilon);
      for (size_t j = 0; j < row.size(); ++j) row[j] *= at(name)[0][j] / root;
    }
    return x;
  }

  /// Turns pair i of every head as a complex number.
  void rotate(Rows& x) const {
    for (size_t t = 0; t < x.size(); ++t) {
      for (size_t pair = 0; pair < x[t].size() / 2; ++pair) {
        const auto within = static_cast<double>(pair % static_cast<size_t>(head_dim() / 2));
        const double angle = static_cast<double>(t) * std::pow(base, -2 * within / head_dim());
        const double a = x[t][2 * pair], b = x[t][2 * pair + 1];
        x[t][2 * pair] = a * std::cos(angle) - b * std::sin(angle);
        x[t][2 * pair + 1] = a * std::sin(angle) + b * std::cos(angle);
      }
    }
  }

  Rows attend(const Rows& n, const std::string& block) const {
    Rows q = times(n, block + "attn_q.weight"), k = times(n, block + "attn_k.weight");
    const Rows v = times(n, block + "attn_v.weight");
    rotate(q);
    rotate(k);
    Rows mixed(n.size(), std::vector<double>(static_cast<size_t>(width)));
    const auto dim = static_cast<size_t>(head_dim());
    for (size_t t = 0; t < n.size(); ++t) {
      for (size_t h = 0; h < static_cast<size_t>(heads); ++h) {
        const size_t shared = h / static_cast<size_t>(heads / kv_heads) * dim;
        std::vector<double> weight(t + 1);
        double total = 0;
        for (size_t s = 0; s <= t; ++s) {
          double score = 0;
          for (size_t d = 0; d < dim; ++d) score += q[t][h * dim + d] * k[s][shared + d];
          total += weight[s] = std::exp(score / std::sqrt(static_cast<double>(dim)));
        }
        for (size_t s = 0; s <= t; ++s) {
          for (size_t d = 0; d < dim; ++d) mixed[t][h * dim + d] += weight[s] / total * v[s][shared + d];
        }
      }
    }
    return mixed;
  }
};

}  // namespace sae::testing
