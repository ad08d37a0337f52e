#include "experiments/report/report_folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "engine/error.h"
#include "engine/files/atomic_file.h"
#include "engine/files/mapped_file.h"
#include "experiments/report/page_files.h"

namespace sae {
namespace {

namespace fs = std::filesystem;

constexpr int64_t latents_in_shard = 64, contexts_in_shard = 256;
constexpr int64_t random_shown = 10, top_shown = 12, patterns_shown = 64;

template <class Items, class Text>
std::string list_of(const Items& items, Text&& text) {
  std::string out = "[";
  for (const auto& item : items) {
    if (out.size() > 1) out += ',';
    out += text(item);
  }
  return out + "]";
}

std::string number(double value) { return fmt::format("{:.4g}", value); }
std::string integers(const std::vector<int64_t>& values) {
  return list_of(values, [](int64_t value) { return fmt::format("{}", value); });
}

/// Pairs one after the other: [id, value, id, value, ...].
std::string scored(const std::vector<Scored>& items) {
  return list_of(items, [](const Scored& item) {
    return fmt::format("{},{}", item.first, number(static_cast<double>(item.second)));
  });
}

std::string facts(const std::vector<std::pair<std::string, std::string>>& card) {
  return list_of(
      card, [](const auto& fact) { return fmt::format("[{},{}]", Json(fact.first).dump(), Json(fact.second).dump()); });
}

}  // namespace

ReportFolder::ReportFolder(std::string folder, const SplitRows& rows, int64_t first_position, uint64_t seed)
    : folder_(std::move(folder)),
      rows_(rows),
      first_position_(first_position),
      seed_(seed),
      context_length_(rows.store().description().context_length) {
  CHECK(context_length_ > 0 && !rows.store().token_ids().empty(),
        "{}: holds no tokens (an imported matrix?), and a report shows texts", rows.store().folder());
  for (int64_t row = 0; row < rows.store().rows(); ++row) {
    CHECK(rows.store().positions()[static_cast<size_t>(row)] == row % context_length_,
          "{}: row {} stands at position {} of its context, expected {}", rows.store().folder(), row,
          rows.store().positions()[static_cast<size_t>(row)], row % context_length_);
  }
  write_file(folder_ + "/index.html", page_html, IfExists::replace);
  write_file(folder_ + "/report.css", page_style, IfExists::replace);
  write_file(folder_ + "/latent.js", page_latent_script, IfExists::replace);
  write_file(folder_ + "/report.js", page_script, IfExists::replace);
}

void ReportFolder::write_data(const std::string& key, const std::string& json) const {
  const fs::path path = fs::path(folder_) / "data" / (key + ".js");
  fs::create_directories(path.parent_path());
  write_file(path.string(), fmt::format("report_data({},{});\n", Json(key).dump(), json), IfExists::replace);
}

void ReportFolder::write_text(int64_t vocabulary, const std::function<std::string(int32_t)>& text) {
  std::vector<std::string> texts;
  for (int64_t id = 0; id < vocabulary; ++id) texts.push_back(text(static_cast<int32_t>(id)));
  write_data("vocabulary", Json(texts).dump());
  const auto ids = rows_.store().token_ids();
  const auto shard = static_cast<size_t>(contexts_in_shard * context_length_);
  for (size_t begin = 0, number_of = 0; begin < ids.size(); begin += shard, ++number_of) {
    const auto some = ids.subspan(begin, std::min(shard, ids.size() - begin));
    write_data(fmt::format("text/{}", number_of), list_of(some, [](int32_t id) { return fmt::format("{}", id); }));
  }
}

/// [context, position, [position, activation, ...]]
std::string ReportFolder::example(const Firing& firing, const std::map<int64_t, float>& values) const {
  const int64_t begin = firing.row / context_length_ * context_length_;
  std::string active = "[";
  for (auto at = values.lower_bound(begin); at != values.end() && at->first < begin + context_length_; ++at) {
    active += fmt::format("{}{},{}", active.size() > 1 ? "," : "", at->first - begin,
                          number(static_cast<double>(at->second)));
  }
  return fmt::format("[{},{},{}]]", begin / context_length_, firing.row - begin, active);
}

std::string ReportFolder::examples(const std::vector<Firing>& shown, const std::vector<Firing>& all) const {
  std::map<int64_t, float> values;
  for (const Firing& firing : all) values.emplace(firing.row, firing.value);
  return list_of(shown, [&](const Firing& firing) { return example(firing, values); });
}

namespace {

/// [tokens, at_start, value, examples] of each pattern, those of most examples first.
std::string patterns_json(std::vector<TokenPattern> patterns) {
  std::stable_sort(patterns.begin(), patterns.end(), [](const auto& a, const auto& b) { return a.count > b.count; });
  if (static_cast<int64_t>(patterns.size()) > patterns_shown) patterns.resize(patterns_shown);
  return list_of(patterns, [](const TokenPattern& pattern) {
    return fmt::format("[{},{},{},{}]", integers({pattern.tokens.begin(), pattern.tokens.end()}),
                       pattern.at_start ? 1 : 0, number(pattern.value), pattern.count);
  });
}

}  // namespace

std::string ReportFolder::latent_json(const AutoencoderReport& report, size_t i,
                                      const LatentStatistics& statistics) const {
  const int64_t latent = report.shown[i];
  const std::vector<Firing>& firings = (*report.firings)[static_cast<size_t>(latent)];
  const DirectionReport& direction = report.directions[i];
  std::string json = fmt::format(
      "\"{}\":{{\"firings\":{},\"mean\":{},\"histogram\":{},\"random\":{},\"top\":{},\"up\":{},\"down\":{},\"near\":{}",
      latent, firings.size(), number(statistics.mean), integers(statistics.histogram),
      examples(random_firings(firings, random_shown, seed_, latent), firings),
      examples(top_firings(firings, top_shown, context_length_), firings), scored(direction.promoted),
      scored(direction.suppressed), scored(direction.nearest));
  if (report.explanations != nullptr) {
    const auto found = report.explanations->find(latent);
    if (found != report.explanations->end()) json += ",\"patterns\":" + patterns_json(found->second.patterns);
  }
  return json + "}";
}

void ReportFolder::add_autoencoder(const AutoencoderReport& report) {
  const int64_t number_of = autoencoders_.size();
  std::vector<LatentStatistics> all;
  std::string explained = "[";
  for (size_t i = 0; i < report.shown.size(); ++i) {
    const int64_t latent = report.shown[i];
    all.push_back(latent_statistics((*report.firings)[static_cast<size_t>(latent)], rows_));
    const bool has = report.explanations != nullptr && report.explanations->count(latent) > 0;
    explained += fmt::format("{}{}", i > 0 ? "," : "", has ? 1 : 0);
  }
  write_data(fmt::format("{}/index", number_of),
             fmt::format("{{\"latent\":{},\"density\":{},\"mean\":{},\"max\":{},\"tokens\":{},\"explained\":{}]}}",
                         integers(report.shown), list_of(all, [](const auto& one) { return number(one.density); }),
                         list_of(all, [](const auto& one) { return number(one.mean); }),
                         list_of(all, [](const auto& one) { return number(one.maximum); }),
                         list_of(all,
                                 [](const auto& one) {
                                   return integers(std::vector<int64_t>(one.tokens.begin(), one.tokens.end()));
                                 }),
                         explained));
  for (size_t begin = 0; begin < report.shown.size(); begin += latents_in_shard) {
    const size_t end = std::min(report.shown.size(), begin + latents_in_shard);
    std::string json = "{";
    for (size_t i = begin; i < end; ++i) json += (i > begin ? ",\n" : "") + latent_json(report, i, all[i]);
    write_data(fmt::format("{}/{}", number_of, begin / latents_in_shard), json + "}");
  }
  Json item = Json::object();
  item.set("name", report.name).set("latents", report.latents).set("dead", report.dead);
  item.set("shown", static_cast<int64_t>(report.shown.size()));
  item.set("card", Json::parse(facts(report.card), "card"));
  autoencoders_.push(item);
}

void ReportFolder::finish(const std::string& title, const std::vector<std::pair<std::string, std::string>>& card,
                          const std::vector<ReportFigure>& figures) {
  Json list = Json::array();
  fs::create_directories(folder_ + "/figures");
  for (const ReportFigure& figure : figures) {
    const std::string name = fs::path(figure.file).filename().string();
    const MappedFile file(figure.file);
    write_file(folder_ + "/figures/" + name, {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()},
               IfExists::replace);
    Json item = Json::object();
    item.set("file", "figures/" + name).set("caption", figure.caption);
    list.push(item);
  }
  Json json = Json::object();
  json.set("title", title).set("card", Json::parse(facts(card), "card")).set("figures", list);
  json.set("autoencoders", autoencoders_).set("context_length", context_length_);
  json.set("first_position", first_position_);
  json.set("latents_in_shard", latents_in_shard).set("contexts_in_shard", contexts_in_shard);
  write_data("report", json.dump());
}

}  // namespace sae
