#include "experiments/common/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cmath>

namespace sae {
namespace {

constexpr auto terminal_interval = std::chrono::milliseconds(200);
constexpr auto log_interval = std::chrono::seconds(10);

}  // namespace

std::string format_duration(double seconds) {
  const auto whole = static_cast<int64_t>(std::llround(std::max(0.0, seconds)));
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  return fmt::format("{} h {:02} min", whole / 3600, whole / 60 % 60);
}

std::string format_count(int64_t count) {
  const std::string digits = fmt::format("{}", count);
  std::string text;
  for (size_t i = 0; i < digits.size(); ++i) {
    const bool after_digit = i > 0 && digits[i - 1] != '-';
    if (after_digit && (digits.size() - i) % 3 == 0) text += ',';
    text += digits[i];
  }
  return text;
}

Progress::Progress(std::string phase, int64_t total, std::string unit, int64_t done, std::FILE* out)
    : phase_(std::move(phase)),
      unit_(std::move(unit)),
      total_(total),
      first_(done),
      done_(done),
      out_(out),
      terminal_(isatty(fileno(out)) == 1),
      start_(std::chrono::steady_clock::now()),
      shown_(start_) {}

Progress::~Progress() {
  try {
    finish();
  } catch (...) {  // a line that could not be formatted is not worth ending the program for
  }
}

double Progress::seconds() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
}

double Progress::rate() const {
  const double elapsed = seconds();
  return elapsed > 0 ? static_cast<double>(done_ - first_) / elapsed : 0;
}

std::string Progress::line(std::string_view note, bool last) const {
  std::string text = fmt::format("{}: {}", phase_, format_count(done_));
  if (total_ > 0) {
    const double share = static_cast<double>(done_) / static_cast<double>(total_);
    text += fmt::format(" of {} {} ({:.0f} %)", format_count(total_), unit_, 100 * share);
  } else {
    text += " " + unit_;
  }
  const double per_second = rate();
  if (per_second > 0) {
    text += per_second >= 100 ? fmt::format(", {} {}/s", format_count(std::llround(per_second)), unit_)
                              : fmt::format(", {:.2f} {}/s", per_second, unit_);
  }
  if (last) {
    text += ", took " + format_duration(seconds());
  } else if (total_ > 0 && per_second > 0) {
    text += ", " + format_duration(static_cast<double>(total_ - done_) / per_second) + " left";
  }
  if (!note.empty()) text += fmt::format(", {}", note);
  return text;
}

void Progress::show(const std::string& text, bool last) const {
  // "\r" goes to the line's start and ESC [ K clears what the previous, perhaps longer, text left
  fmt::print(out_, "{}{}{}{}", terminal_ ? "\r" : "", text, terminal_ ? "\x1b[K" : "", terminal_ && !last ? "" : "\n");
  std::fflush(out_);
}

void Progress::update(int64_t done, std::string_view note) {
  done_ = done;
  note_ = note;
  const auto now = std::chrono::steady_clock::now();
  if (finished_ || now - shown_ < (terminal_ ? std::chrono::nanoseconds(terminal_interval) : log_interval)) return;
  shown_ = now;
  show(line(note, false), false);
}

void Progress::finish(std::string_view note) {
  if (finished_) return;
  finished_ = true;
  show(line(note.empty() ? note_ : note, true), true);
}

}  // namespace sae
