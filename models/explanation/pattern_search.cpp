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
      take_together(static_cast<double>(activations[0]));
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
  const double whole = options_->mode == ExplanationMode::reference ? example_.activation : suffix_activation_;
  pattern_.at_start = static_cast<double>(activations[0]) < options_->kept_after_pad * whole;
  for (size_t place = 0; place < pattern_.tokens.size(); ++place) {
    const double importance = 1 - static_cast<double>(activations[place + 1]) / suffix_activation_;
    pattern_.importance.push_back(static_cast<float>(importance));
    if (importance < options_->wildcard_importance) wildcards_.push_back(place);
  }
  std::stable_sort(wildcards_.begin(), wildcards_.end(),
                   [&](size_t a, size_t b) { return pattern_.importance[a] < pattern_.importance[b]; });
  for (const size_t place : wildcards_) pattern_.tokens[place] = any_token;
  if (options_->mode == ExplanationMode::fixed && !wildcards_.empty()) {
    step_ = Step::together;
    enough_ = static_cast<int64_t>(wildcards_.size()) - 1;  // the last one alone has been tested already
    ask_together();
  } else {
    step_ = Step::done;
    queries_.clear();
  }
}

void PatternSearch::take_together(double activation) {
  if (activation < (1 - options_->wildcard_importance) * suffix_activation_) {
    too_few_ = restored_;
  } else {
    enough_ = restored_;
  }
  ask_together();
}

void PatternSearch::ask_together() {
  const int64_t doubled = too_few_ < 0 ? 0 : std::max<int64_t>(1, 2 * too_few_);
  const bool is_found = enough_ - too_few_ <= 1;
  restored_ = is_found ? enough_ : doubled < enough_ ? doubled : (too_few_ + enough_) / 2;
  const std::span<const size_t> wild = std::span(wildcards_).first(wildcards_.size() - static_cast<size_t>(restored_));
  if (!is_found) return ask({suffix_with(wild)});
  for (const size_t place : std::span(wildcards_).subspan(wild.size())) {
    pattern_.tokens[place] = example_.tokens[begin_ + place];
  }
  step_ = Step::done;
  queries_.clear();
}

}  // namespace sae
