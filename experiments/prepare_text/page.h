#pragma once

#include <string>
#include <vector>

namespace sae::corpus {

/// A paragraph of prose or a heading, in UTF-8, without line breaks.
struct Block {
  std::string text;
  bool heading = false;
};

/// What one file, chapter or stretch of a dictionary holds: the unit that is assigned whole to train, validation or
/// test.
struct Page {
  std::string name;  // unique within its source
  std::vector<Block> blocks;
};

}  // namespace sae::corpus
