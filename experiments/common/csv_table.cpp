#include "experiments/common/csv_table.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>

#include "engine/error.h"
#include "experiments/common/options.h"

namespace sae {

CsvTable::CsvTable(const std::string& path) : path_(path) {
  std::ifstream in(path);
  CHECK(in, "{}: cannot be read", path);
  std::string line;
  for (int number = 1; std::getline(in, line); ++number) {
    if (line.empty() || line[0] == '#') continue;
    std::vector<std::string> fields = split_at_commas(line);
    if (columns_.empty()) {
      columns_ = std::move(fields);
      continue;
    }
    CHECK(fields.size() == columns_.size(), "{}:{}: expected {} fields, as the first line names, got {}", path, number,
          columns_.size(), fields.size());
    rows_.push_back({number, std::move(fields)});
  }
  CHECK(!columns_.empty(), "{}: expected a line of column names, it is empty", path);
}

const std::string& CsvTable::text(size_t row, std::string_view column) const {
  const auto found = std::find(columns_.begin(), columns_.end(), column);
  CHECK(found != columns_.end(), "{}: has no column '{}'", path_, column);
  return rows_.at(row).fields[static_cast<size_t>(found - columns_.begin())];
}

double CsvTable::number(size_t row, std::string_view column) const {
  const std::string& field = text(row, column);
  double value = 0;
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), value);
  CHECK(error == std::errc() && end == field.data() + field.size() && std::isfinite(value),
        "{}:{}: '{}' is not a number", path_, rows_.at(row).line, field);
  return value;
}

}  // namespace sae
