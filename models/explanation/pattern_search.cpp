#include "models/explanation/pattern_search.h"

#include <algorithm>
#include <cmath>

#include "engine/error.h"

namespace sae {

PatternSearch::PatternSearch(Example example, const SearchOptions& options)
    : options_(&options), example_(std::move(example)) {
  CHECK(!example_.tokens.empty() && std::isfinite(example_.activation) && example_.activation > 0,
        "explanation: an example of {} tokens with an activation of {}; it has some, and a positive one",
        example_.tokens.size(), example_.activation);
  begin_ = example_.tokens.size() - 1;
  ask_suffix();
}

void PatternSearch::ask(std::vector<std::vector<int32_t>> texts) {
  queries_ = std::move(texts);
  for (std::vector<int32_t>& text : queries_) {
    text.insert(text.begin(), options_->prefix.begin(), options_->prefix.end());
    tokens_asked_ += static_cast<int64_t>(text.size());
  }
}

std::vector<int32_t> PatternSearch::suffix_with(std::span<const size_t> replaced) const {
  std::vector<int32_t> text(example_.tokens.begin() + static_cast<std::ptrdiff_t>(begin_), example_.tokens.end());
  for (const size_t place : replaced) text[place] = options_->pad;
  return text;
}

void PatternSearch::ask_suffix() { ask({suffix_with({})}); }

void PatternSearch::answer(std::span<const float> activations) {
  CHECK(activations.size() == queries_.size(), "explanation: {} answers to {} queries", activations.size(),
        queries_.size());
  switch (step_) {
    case Step::suffix: {
      const auto activation = static_cast<double>(activations[0]);
      if (activation >= options_->kept_by_suffix * example_.activation) {
        take_suffix(begin_, activation);
      } else if (begin_ == 0) {
        take_suffix(0, example_.activation);
      } else {
        --begin_;
        ask_suffix();
      }
      return;
    }
    case Step::parts:
      take_parts(activations);
      return;
    case Step::together:
      if (static_cast<double>(activations[0]) < (1 - options_->wildcard_importance) * suffix_activation_) {
        restored_ = std::min(wildcards_.size(), std::max<size_t>(1, 2 * restored_));
        ask_together();
      } else {
        step_ = Step::done;
        queries_.clear();
      }
      return;
    case Step::done:
      fail("explanation: an answer to a search that has ended");
  }
}

void PatternSearch::take_suffix(size_t begin, double activation) {
  begin_ = begin;
  suffix_activation_ = activation;
  step_ = Step::parts;
  const std::vector<int32_t> suffix = suffix_with({});
  std::vector<std::vector<int32_t>> texts = {suffix};
  texts[0].insert(texts[0].begin(), options_->pad);
  for (size_t place = 0; place < suffix.size(); ++place) texts.push_back(suffix_with({&place, 1}));
  ask(std::move(texts));
}

void PatternSearch::take_parts(std::span<const float> activations) {
  pattern_.tokens = suffix_with({});
  pattern_.value = suffix_activation_;
  pattern_.at_start = static_cast<double>(activations[0]) < options_->kept_after_pad * example_.activation;
  for (size_t place = 0; place < pattern_.tokens.size(); ++place) {
    const double importance = 1 - static_cast<double>(activations[place + 1]) / suffix_activation_;
    pattern_.importance.push_back(static_cast<float>(importance));
    if (importance < options_->wildcard_importance) wildcards_.push_back(place);
  }
  std::stable_sort(wildcards_.begin(), wildcards_.end(),
                   [&](size_t a, size_t b) { return pattern_.importance[a] < pattern_.importance[b]; });
  for (const size_t place : wildcards_) pattern_.tokens[place] = any_token;
  // one wildcard alone has been tested already
  if (options_->mode == ExplanationMode::fixed && wildcards_.size() > 1) {
    step_ = Step::together;
    ask_together();
  } else {
    step_ = Step::done;
    queries_.clear();
  }
}

void PatternSearch::ask_together() {
  const size_t left = wildcards_.size() - restored_;
  const std::span<const size_t> wild = std::span(wildcards_).first(left);
  for (size_t i = left; i < wildcards_.size(); ++i) {
    pattern_.tokens[wildcards_[i]] = example_.tokens[begin_ + wildcards_[i]];
  }
  if (left <= 1) {
    step_ = Step::done;
    queries_.clear();
  } else {
    ask({suffix_with(wild)});
  }
}

}  // namespace sae
