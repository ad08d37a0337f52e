#include <gmock/gmock.h>

#include "experiments/compare_explanations/comparison.h"
#include "tests/support/temporary_folder.h"

namespace sae {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

ResultLine line_of(const std::string& group, int64_t size, double l0, double recall) {
  ResultLine line;
  line.subject = group;
  line.group = group;
  line.method = pattern_method;
  line.slice = "all";
  line.size = size;
  line.l0 = l0;
  line.means.recall = {recall, recall - 0.125, recall + 0.125};
  return line;
}

TEST(CompareExplanations, CurvesBySizeRunOverL0) {
  std::vector<ResultLine> lines = {line_of("topk", 512, 64, 0.5), line_of("relu", 512, 30, 0.25),
                                   line_of("topk", 512, 16, 0.75), line_of("topk", 2048, 16, 0.625),
                                   line_of("random", 512, 16, 0.375)};
  lines.push_back(lines[0]);
  lines.back().threshold = 0.1;
  lines.push_back(lines[0]);
  lines.back().slice = "density bin 1";
  lines.push_back(lines[0]);
  lines.back().method = token_method;
  TemporaryFolder folder;
  draw_by_size(folder.path("by_size"), "it's a title", lines);
  const std::string script = folder.read("by_size.gp");
  EXPECT_THAT(script, HasSubstr("$recall0 << EOD\n30 0.25 0.125 0.375\nEOD\n"));
  EXPECT_THAT(script, HasSubstr("$recall1 << EOD\n16 0.75 0.625 0.875\n64 0.5 0.375 0.625\nEOD\n"));
  EXPECT_THAT(script, HasSubstr("$recall2 << EOD\n16 0.625 0.5 0.75\nEOD\n"));
  EXPECT_THAT(script, HasSubstr("title 'topk, 2048 latents'"));
  EXPECT_THAT(script, Not(HasSubstr("$recall3")));
  EXPECT_THAT(folder.read("by_size.svg"), HasSubstr("</svg>"));
}

}  // namespace
}  // namespace sae
