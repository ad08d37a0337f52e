#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "experiments/compare_explanations/score.h"
#include "experiments/compare_explanations/statistics.h"
#include "experiments/explain/explain_latents.h"
#include "models/explanation/explanation_file.h"

namespace sae {

/// One autoencoder under comparison: a trained one, or a baseline made of one.
struct Compared {
  std::string name;                      ///< "topk k 32": what tables and plots call it
  std::string group;                     ///< topk, relu, random, channels
  const LatentFirings* build = nullptr;  ///< where its latents fire in the text that explanations are built from
  const LatentFirings* test = nullptr;   ///< and in that on which they are scored
};

/// A latent that may be scored, or why it may not.
struct LatentScores {
  int64_t latent = 0;
  double density = 0;                                 ///< in the scored text
  double maximum = 0;                                 ///< in the text that explanations are built from
  int64_t firings = 0;                                ///< in the scored text
  std::map<std::string, std::vector<Counts>> counts;  ///< by method, then by threshold
  std::optional<double> held_out_recall;              ///< of the explanation that was built with a prefix
};

/// A firing counts above these shares of the latent's maximum.
inline const std::vector<double> score_thresholds = {0, 0.1};

/// Methods of prediction.
inline const std::string pattern_method = "patterns", paper_method = "patterns, paper's form",
                         token_method = "last-token table", ngram_method = "5-gram table";

/// Scores a subject's explanations, and lookups of last tokens and 5-grams, on the rows of `stream`.
std::vector<LatentScores> score_explanations(const Compared& subject, const std::vector<Explanation>& explanations,
                                             const std::vector<Explanation>& paper_form, const TokenStream& stream,
                                             const TokenStream& whole_stream, const NgramLookup& tokens,
                                             const NgramLookup& ngrams);

/// The latents with at least `least` firings in the scored text, as points of one method and threshold. A latent
/// without a firing above the threshold has no recall, one without a prediction no precision.
std::vector<LatentPoint> points_of(const std::vector<LatentScores>& scores, const std::string& method, size_t threshold,
                                   int64_t least);

/// A row of results.csv.
struct ResultLine {
  std::string subject, group, method, slice;
  int64_t size = 0;  ///< latents of the autoencoder
  double threshold = 0;
  double l0 = 0;
  int64_t latents = 0;        ///< in the sample
  int64_t too_rare = 0;       ///< of them, left out: fewer than 16 firings in the scored text
  int64_t no_prediction = 0;  ///< of those kept, without a predicted firing: they have no precision
  MeansInterval means;
};

/// A row of ratios.csv: the first subject over the second.
struct RatioLine {
  std::string first, second, slice;
  double threshold = 0;
  MeansInterval ratio;
};

struct ScoredAutoencoder {
  Compared subject;
  std::vector<LatentScores> scores;
};

struct ComparisonOptions {
  int64_t least_firings = 16;  ///< in the scored text
  int64_t bins = 10;           ///< of density
  int64_t resamples = 1000;
  uint64_t seed = 0;
};

/// Every subject, method and threshold: all latents, weighted by density, in each density bin, and matched on density
/// (over topk and relu alone); and recall on the held-out firings.
std::vector<ResultLine> summarise(const std::vector<ScoredAutoencoder>& subjects, const ComparisonOptions& options);
/// topk over relu, patterns: all latents, and matched on density.
std::vector<RatioLine> ratios(const ScoredAutoencoder& topk, const ScoredAutoencoder& relu,
                              const ComparisonOptions& options);

void write_results(const std::string& path, const std::vector<ResultLine>& lines);
void write_ratios(const std::string& path, const std::vector<RatioLine>& lines);
void write_latents(const std::string& path, const std::vector<ScoredAutoencoder>& subjects);
/// What a person reads at the end: means of all latents, ratios, and whether the paper's claim holds.
std::string verdict(const std::vector<ResultLine>& lines, const std::vector<RatioLine>& ratios);

/// Draws PATH.svg: precision, recall and F1 of every subject and method beside each other, with intervals, and
/// precision and recall over density (Gao et al., Fig. 24).
void draw_comparison(const std::string& path, const std::string& title, const std::vector<ResultLine>& lines,
                     const std::vector<double>& bin_centres);
/// Draws PATH.svg: precision, recall and F1 of the trained autoencoders' patterns over L0, a curve for each activation
/// and number of latents (Gao et al., Fig. 25).
void draw_by_size(const std::string& path, const std::string& title, const std::vector<ResultLine>& lines);
/// The middle density of each bin, for the figure.
std::vector<double> bin_centres(const std::vector<ScoredAutoencoder>& subjects, const ComparisonOptions& options);

}  // namespace sae
