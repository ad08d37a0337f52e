#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sae {

/// A table of comma-separated values as the experiments write them: a line of column names, then rows of as many
/// fields, no quotes. Empty lines and those that begin with '#' are skipped. Errors name FILE:LINE.
class CsvTable {
 public:
  explicit CsvTable(const std::string& path);

  size_t rows() const { return rows_.size(); }
  /// The field of a row under this column's name; throws where there is no such column.
  const std::string& text(size_t row, std::string_view column) const;
  /// The same as a finite number.
  double number(size_t row, std::string_view column) const;

 private:
  struct Row {
    int line = 0;
    std::vector<std::string> fields;
  };
  std::string path_;
  std::vector<std::string> columns_;
  std::vector<Row> rows_;
};

}  // namespace sae
