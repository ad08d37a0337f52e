#include "experiments/explain/graph.h"

#include <gmock/gmock.h>

#include "tests/support/temporary_folder.h"
#include "tests/support/tensors.h"

namespace sae {
namespace {

using ::testing::HasSubstr;

TEST(ExplanationGraph, ReadsFromLeftToRight) {
  Explanation explanation;
  explanation.latent = 3;
  explanation.maximum = 2;
  explanation.patterns = {{{1, any_token, 3}, {1, 0, 1}, false, 1.0, 2}, {{3}, {1}, true, 2.0, 1}};
  const TokenText text = [](int32_t token) { return token == 1 ? std::string(" \"a&\n") : token == 0 ? "|" : "c"; };
  const std::string graph = graph_of(explanation, text);
  EXPECT_THAT(graph, HasSubstr("digraph latent_3 {"));
  EXPECT_THAT(graph, HasSubstr("label=\"c\", fillcolor=\"#d62728\""));  // fires at its maximum
  EXPECT_THAT(graph, HasSubstr("label=\"any token\", fillcolor=\"#ffffff\", style=\"filled,rounded,dashed\""));
  EXPECT_THAT(graph, HasSubstr("label=\"␣\\\"a&amp;↵\", fillcolor=\"#4285d6\""));  // fully important
  EXPECT_THAT(graph, HasSubstr("xlabel=\"1 (2)\""));
  EXPECT_THAT(graph, HasSubstr("label=\"^\""));
  EXPECT_THAT(graph, HasSubstr("n2 -> n1"));
  EXPECT_THAT(graph, HasSubstr("n1 -> n0"));
  EXPECT_THAT(graph, HasSubstr("n3 -> n0"));
  TemporaryFolder folder;
  draw_graphs({folder.write("it's.dot", graph)});
  EXPECT_THAT(folder.read("it's.svg"), HasSubstr("</svg>"));
  EXPECT_REFUSED(draw_graphs({folder.write("bad.dot", "digraph {")}), "Debian: graphviz");
}

}  // namespace
}  // namespace sae
