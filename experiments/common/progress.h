#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

namespace sae {

/// One long phase on the screen: how far, how fast, how long still. On a terminal one line is rewritten a few times a
/// second; elsewhere (a log) a plain line appears every ten seconds and at the end.
///
///   Progress progress("harvest", tokens, "tokens");
///   for (...) progress.update(done, "loss 3.41");
///   progress.finish();
class Progress {
 public:
  /// `total` of 0: unknown, so no percentage and no time left. `done` at the start is what an earlier run had done; it
  /// does not count for the rate.
  Progress(std::string phase, int64_t total, std::string unit, int64_t done = 0, std::FILE* out = stderr);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// `note` is shown at the end of the line as it is. Cheap enough to be called for every batch.
  void update(int64_t done, std::string_view note = {});
  /// Writes the last line, with the total time. Called by the destructor where it was not before.
  void finish(std::string_view note = {});

  double seconds() const;
  /// Units a second since the start.
  double rate() const;

 private:
  std::string line(std::string_view note, bool last) const;
  void show(const std::string& text, bool last) const;

  std::string phase_;
  std::string unit_;
  int64_t total_;
  int64_t first_;
  int64_t done_;
  std::FILE* out_;
  bool terminal_;
  bool finished_ = false;
  std::string note_;
  std::chrono::steady_clock::time_point start_;
  std::chrono::steady_clock::time_point shown_;
};

/// "45 s", "3 min 20 s", "2 h 05 min"
std::string format_duration(double seconds);
/// 1234567 as "1,234,567"
std::string format_count(int64_t count);

}  // namespace sae
