#include "experiments/downstream/bigram_model.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/error.h"

namespace sae {
namespace {

constexpr int64_t contexts_at_once = 4096;

uint64_t pair_of(int32_t token, int32_t next) {
  return static_cast<uint64_t>(token) << 32 | static_cast<uint32_t>(next);
}

}  // namespace

BigramModel::BigramModel(ContextSource& text, int64_t length, int64_t vocabulary)
    : length_(length),
      counts_(static_cast<size_t>(vocabulary), 0.0),
      alone_(static_cast<size_t>(vocabulary), 0.0),
      begins_(static_cast<size_t>(vocabulary) + 1, 0) {
  std::vector<uint64_t> pairs;
  for (ContextBatch batch = text.next(contexts_at_once); !batch.ids.empty(); batch = text.next(contexts_at_once)) {
    check_ids(batch.ids);
    tokens_ += static_cast<int64_t>(batch.ids.size());
    for (size_t i = 0; i < batch.ids.size(); ++i) {
      ++counts_[static_cast<size_t>(batch.ids[i])];
      if ((i + 1) % static_cast<size_t>(length) != 0) pairs.push_back(pair_of(batch.ids[i], batch.ids[i + 1]));
    }
  }
  std::sort(pairs.begin(), pairs.end());
  for (size_t i = 0; i < pairs.size();) {
    size_t end = i + 1;
    while (end < pairs.size() && pairs[end] == pairs[i]) ++end;
    const auto token = static_cast<size_t>(pairs[i] >> 32);
    next_.push_back(static_cast<int32_t>(pairs[i] & 0xffffffffu));
    together_.push_back(static_cast<double>(end - i));
    alone_[token] += together_.back();
    ++begins_[token + 1];
    i = end;
  }
  for (size_t i = 1; i < begins_.size(); ++i) begins_[i] += begins_[i - 1];
}

void BigramModel::check_ids(std::span<const int32_t> ids) const {
  for (const int32_t id : ids) {
    CHECK(0 <= id && static_cast<size_t>(id) < counts_.size(), "bigrams: token {} of a vocabulary of {}", id,
          counts_.size());
  }
}

BigramModel::Parts BigramModel::parts_of(int32_t token, int32_t next) const {
  const auto at = static_cast<size_t>(token);
  const auto begin = next_.begin() + static_cast<std::ptrdiff_t>(begins_[at]);
  const auto end = next_.begin() + static_cast<std::ptrdiff_t>(begins_[at + 1]);
  const auto found = std::lower_bound(begin, end, next);
  const bool seen = found != end && *found == next;
  return {seen ? together_[static_cast<size_t>(found - next_.begin())] : 0.0, alone_[at],
          frequency(static_cast<size_t>(next))};
}

void BigramModel::smooth(ContextSource& calibration, int64_t contexts, int64_t skip_positions) {
  std::vector<Parts> parts;
  int64_t left = contexts > 0 ? contexts : std::numeric_limits<int64_t>::max();
  while (left > 0) {
    const ContextBatch batch = calibration.next(std::min(left, contexts_at_once));
    if (batch.ids.empty()) break;
    check_ids(batch.ids);
    left -= batch.contexts(length_);
    for (size_t i = 0; i + 1 < batch.ids.size(); ++i) {
      const auto position = static_cast<int64_t>(i) % length_;
      if (position < skip_positions || position + 1 == length_) continue;
      parts.push_back(parts_of(batch.ids[i], batch.ids[i + 1]));
    }
  }
  double least = std::numeric_limits<double>::infinity();
  for (double candidate = 1; candidate <= 4096; candidate *= 2) {
    double cost = 0;
    for (const Parts& one : parts) cost -= std::log(mixed(one, candidate));
    if (cost < least) {
      least = cost;
      pseudo_counts_ = candidate;
    }
  }
}

Tensor BigramModel::logits(std::span<const int32_t> ids, Device& device) const {
  check_ids(ids);
  const size_t vocabulary = counts_.size();
  std::vector<float> frequencies(vocabulary);  // logarithms
  for (size_t i = 0; i < vocabulary; ++i) frequencies[i] = static_cast<float>(std::log(frequency(i)));
  std::vector<float> scores(ids.size() * vocabulary);
  for (size_t row = 0; row < ids.size(); ++row) {
    const auto token = static_cast<size_t>(ids[row]);
    float* out = scores.data() + row * vocabulary;
    const auto share = static_cast<float>(std::log(pseudo_counts_ / (alone_[token] + pseudo_counts_)));
    for (size_t i = 0; i < vocabulary; ++i) out[i] = frequencies[i] + share;
    for (size_t i = begins_[token]; i < begins_[token + 1]; ++i) {
      out[next_[i]] = static_cast<float>(std::log(probability(ids[row], next_[i])));
    }
  }
  return Tensor::from(device, {static_cast<int64_t>(ids.size()), static_cast<int64_t>(vocabulary)}, scores);
}

}  // namespace sae
