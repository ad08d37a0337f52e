#include "experiments/compare_explanations/comparison.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/error.h"
#include "engine/files/atomic_file.h"
#include "engine/parallel.h"

namespace sae {
namespace {

constexpr double undefined = std::numeric_limits<double>::quiet_NaN();

std::vector<Counts> count_all(const std::vector<RowActivation>& predicted, const std::vector<RowActivation>& truth,
                              double maximum) {
  std::vector<Counts> counts;
  for (const double share : score_thresholds) counts.push_back(count_matches(predicted, truth, share * maximum));
  return counts;
}

}  // namespace

std::vector<LatentScores> score_explanations(const Compared& subject, const std::vector<Explanation>& explanations,
                                             const std::vector<Explanation>& paper_form, const TokenStream& stream,
                                             const TokenStream& whole_stream, const NgramLookup& tokens,
                                             const NgramLookup& ngrams) {
  std::vector<LatentScores> scores(explanations.size());
  parallel_for(static_cast<int64_t>(explanations.size()), 1, [&](int64_t i, int64_t) {
    const Explanation& explanation = explanations[static_cast<size_t>(i)];
    LatentScores& score = scores[static_cast<size_t>(i)];
    const int64_t latent = explanation.latent;
    const std::vector<RowActivation> truth = true_firings(*subject.test, latent);
    score.latent = latent;
    score.density = subject.test->density(latent);
    score.maximum = static_cast<double>(subject.build->maximum(latent));
    score.firings = static_cast<int64_t>(truth.size());
    const auto add = [&](const std::string& method, const std::vector<RowActivation>& predicted) {
      score.counts[method] = count_all(predicted, truth, score.maximum);
    };
    add(pattern_method, predict_stream(explanation.trie(), stream));
    add(token_method, tokens.predict(*subject.build, latent));
    add(ngram_method, ngrams.predict(*subject.build, latent));
    const auto paper = std::find_if(paper_form.begin(), paper_form.end(),
                                    [&](const Explanation& other) { return other.latent == latent; });
    if (paper != paper_form.end()) add(paper_method, predict_stream(paper->trie(), whole_stream));
    if (explanation.held_out > 0) {
      score.held_out_recall =
          static_cast<double>(explanation.held_out_predicted) / static_cast<double>(explanation.held_out);
    }
  });
  return scores;
}

std::vector<LatentPoint> points_of(const std::vector<LatentScores>& scores, const std::string& method, size_t threshold,
                                   int64_t least) {
  std::vector<LatentPoint> points;
  for (const LatentScores& score : scores) {
    const auto found = score.counts.find(method);
    if (found == score.counts.end() || score.firings < least) continue;
    const Counts& counts = found->second[threshold];
    points.push_back({score.density, counts.precision(), counts.recall(), counts.f1()});
  }
  return points;
}

namespace {

std::vector<LatentPoint> held_out_points(const std::vector<LatentScores>& scores, int64_t least) {
  std::vector<LatentPoint> points;
  for (const LatentScores& score : scores) {
    if (score.firings < least || !score.held_out_recall) continue;
    points.push_back({score.density, undefined, *score.held_out_recall, undefined});
  }
  return points;
}

bool is_trained(const Compared& subject) { return subject.group == "topk" || subject.group == "relu"; }

/// The points of the trained subjects, over which densities are cut into bins and matched.
std::vector<std::vector<LatentPoint>> trained_points(const std::vector<ScoredAutoencoder>& subjects,
                                                     const ComparisonOptions& options) {
  std::vector<std::vector<LatentPoint>> groups;
  for (const ScoredAutoencoder& scored : subjects) {
    if (is_trained(scored.subject)) {
      groups.push_back(points_of(scored.scores, pattern_method, 0, options.least_firings));
    }
  }
  return groups;
}

/// Latents that a bin needs of each subject to be matched.
constexpr int64_t least_in_bin = 3;

class Summary {
 public:
  Summary(const std::vector<ScoredAutoencoder>& subjects, const ComparisonOptions& options)
      : options_(options),
        edges_(density_edges(trained_points(subjects, options), options.bins)),
        matched_(trained_points(subjects, options), edges_, least_in_bin) {}

  void add(const ScoredAutoencoder& scored, std::vector<ResultLine>& lines) const {
    for (const std::string& method : {pattern_method, paper_method, token_method, ngram_method}) {
      for (size_t threshold = 0; threshold < score_thresholds.size(); ++threshold) {
        const auto points = points_of(scored.scores, method, threshold, options_.least_firings);
        if (points.empty()) continue;
        ResultLine line = start(scored, method, threshold);
        add_slice(line, "all", points, plain_means, lines);
        add_slice(line, "weighted by density", points, density_weighted_means, lines);
        if (is_trained(scored.subject)) add_slice(line, "matched on density", points, matched_, lines);
        for (size_t bin = 0; bin + 1 < edges_.size(); ++bin) {
          add_slice(line, fmt::format("density bin {}", bin + 1), within(points, edges_[bin], edges_[bin + 1]),
                    plain_means, lines);
        }
      }
    }
    add_slice(start(scored, pattern_method, 0), "held-out firings",
              held_out_points(scored.scores, options_.least_firings), plain_means, lines);
  }

 private:
  ResultLine start(const ScoredAutoencoder& scored, const std::string& method, size_t threshold) const {
    ResultLine line;
    line.subject = scored.subject.name;
    line.group = scored.subject.group;
    line.size = scored.subject.test->latents();
    line.method = method;
    line.threshold = score_thresholds[threshold];
    line.l0 = scored.subject.test->l0();
    line.too_rare = std::count_if(scored.scores.begin(), scored.scores.end(), [&](const LatentScores& score) {
      return score.counts.contains(method) && score.firings < options_.least_firings;
    });
    return line;
  }

  void add_slice(ResultLine line, const std::string& slice, const std::vector<LatentPoint>& points,
                 const Estimator& estimate, std::vector<ResultLine>& lines) const {
    if (points.empty()) return;
    line.slice = slice;
    line.latents = static_cast<int64_t>(points.size());
    line.no_prediction = std::count_if(points.begin(), points.end(),
                                       [](const LatentPoint& point) { return std::isnan(point.precision); });
    line.means = bootstrap(points, estimate, options_.resamples, options_.seed);
    lines.push_back(std::move(line));
  }

  const ComparisonOptions& options_;
  std::vector<double> edges_;
  MatchedMeans matched_;
};

std::string three(const Interval& value) {
  return fmt::format("{:.4f},{:.4f},{:.4f}", value.value, value.low, value.high);
}

}  // namespace

std::vector<ResultLine> summarise(const std::vector<ScoredAutoencoder>& subjects, const ComparisonOptions& options) {
  const Summary summary(subjects, options);
  std::vector<ResultLine> lines;
  for (const ScoredAutoencoder& scored : subjects) summary.add(scored, lines);
  return lines;
}

std::vector<RatioLine> ratios(const ScoredAutoencoder& topk, const ScoredAutoencoder& relu,
                              const ComparisonOptions& options) {
  std::vector<RatioLine> lines;
  const std::vector<std::vector<LatentPoint>> groups = trained_points({topk, relu}, options);
  const MatchedMeans matched(groups, density_edges(groups, options.bins), least_in_bin);
  const auto add = [&](const std::string& slice, double threshold, const std::vector<LatentPoint>& a,
                       const std::vector<LatentPoint>& b, const Estimator& estimate) {
    if (a.empty() || b.empty()) return;
    lines.push_back({topk.subject.name, relu.subject.name, slice, threshold,
                     bootstrap_ratio(a, b, estimate, options.resamples, options.seed)});
  };
  for (size_t threshold = 0; threshold < score_thresholds.size(); ++threshold) {
    const auto a = points_of(topk.scores, pattern_method, threshold, options.least_firings);
    const auto b = points_of(relu.scores, pattern_method, threshold, options.least_firings);
    add("all", score_thresholds[threshold], a, b, plain_means);
    add("matched on density", score_thresholds[threshold], a, b, matched);
  }
  add("held-out firings", 0, held_out_points(topk.scores, options.least_firings),
      held_out_points(relu.scores, options.least_firings), plain_means);
  return lines;
}

std::vector<double> bin_centres(const std::vector<ScoredAutoencoder>& subjects, const ComparisonOptions& options) {
  const auto groups = trained_points(subjects, options);
  const std::vector<double> edges = density_edges(groups, options.bins);
  std::vector<double> centres;
  for (size_t bin = 0; bin + 1 < edges.size(); ++bin) {
    double sum = 0, count = 0;
    for (const auto& group : groups) {
      for (const LatentPoint& point : within(group, edges[bin], edges[bin + 1])) {
        sum += std::log(point.density);
        ++count;
      }
    }
    centres.push_back(count > 0 ? std::exp(sum / count) : undefined);
  }
  return centres;
}

void write_results(const std::string& path, const std::vector<ResultLine>& lines) {
  std::string text =
      "subject,group,size,l0,method,threshold,slice,latents,too_rare,no_prediction,precision,precision_low,precision_"
      "high,"
      "recall,recall_low,recall_high,f1,f1_low,f1_high\n";
  for (const ResultLine& line : lines) {
    text +=
        fmt::format("{},{},{},{:.2f},\"{}\",{},{},{},{},{},{},{},{}\n", line.subject, line.group, line.size, line.l0,
                    line.method, line.threshold, line.slice, line.latents, line.too_rare, line.no_prediction,
                    three(line.means.precision), three(line.means.recall), three(line.means.f1));
  }
  write_file(path, text, IfExists::replace);
}

void write_ratios(const std::string& path, const std::vector<RatioLine>& lines) {
  std::string text =
      "first,second,threshold,slice,precision,precision_low,precision_high,recall,recall_low,recall_high,f1,f1_low,"
      "f1_high\n";
  for (const RatioLine& line : lines) {
    text += fmt::format("{},{},{},{},{},{},{}\n", line.first, line.second, line.threshold, line.slice,
                        three(line.ratio.precision), three(line.ratio.recall), three(line.ratio.f1));
  }
  write_file(path, text, IfExists::replace);
}

void write_latents(const std::string& path, const std::vector<ScoredAutoencoder>& subjects) {
  std::string text = "subject,latent,density,firings,maximum,method,threshold,both,predicted_only,true_only\n";
  for (const ScoredAutoencoder& scored : subjects) {
    for (const LatentScores& score : scored.scores) {
      for (const auto& [method, counts] : score.counts) {
        for (size_t i = 0; i < counts.size(); ++i) {
          text += fmt::format("{},{},{:.4g},{},{:.4g},\"{}\",{},{},{},{}\n", scored.subject.name, score.latent,
                              score.density, score.firings, score.maximum, method, score_thresholds[i], counts[i].both,
                              counts[i].predicted_only, counts[i].true_only);
        }
      }
    }
  }
  write_file(path, text, IfExists::replace);
}

namespace {

std::string shown(const Interval& value) {
  return fmt::format("{:.3f} [{:.3f}, {:.3f}]", value.value, value.low, value.high);
}

/// Is the ratio above the bound for all of its interval, for its value alone, or not at all?
std::string above(const Interval& ratio, double bound) {
  if (std::isnan(ratio.value)) return "not defined";
  if (ratio.low > bound) return "yes";
  return ratio.value > bound ? "yes, but the interval reaches below" : "no";
}

}  // namespace

std::string verdict(const std::vector<ResultLine>& lines, const std::vector<RatioLine>& ratios) {
  std::string text = fmt::format("{:<22} {:<24} {:>9} {:<22} {:<22} {:<22}\n", "subject", "method", "threshold",
                                 "precision", "recall", "F1");
  for (const ResultLine& line : lines) {
    if (line.slice != "all") continue;
    text += fmt::format("{:<22} {:<24} {:>9} {:<22} {:<22} {:<22}\n", line.subject, line.method, line.threshold,
                        shown(line.means.precision), shown(line.means.recall), shown(line.means.f1));
  }
  for (const RatioLine& line : ratios) {
    text += fmt::format("\n{} over {}, {}, threshold {}: recall {}, precision {}, F1 {}\n", line.first, line.second,
                        line.slice, line.threshold, shown(line.ratio.recall), shown(line.ratio.precision),
                        shown(line.ratio.f1));
    text += fmt::format("  recall above 1.5 times: {}; precision above 0.9 times: {}\n", above(line.ratio.recall, 1.5),
                        above(line.ratio.precision, 0.9));
  }
  return text;
}

}  // namespace sae
