#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "engine/error.h"
#include "experiments/common/device_option.h"
#include "experiments/common/options.h"
#include "experiments/common/progress.h"
#include "tests/support/tensors.h"

namespace sae {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;

class OptionsTest : public ::testing::Test {
 protected:
  OptionsTest() : options_("program", "What it does.") {
    options_.text("model", "FILE", "the model")
        .integer("layer", 22, "N", "after which block")
        .number("rate", 0.5, "X", "how fast")
        .flag("overwrite", "replace what is there")
        .text("sizes", "16,32", "LIST", "some sizes")
        .positional("input", "texts");
  }
  bool parse(std::vector<const char*> arguments) {
    arguments.insert(arguments.begin(), "program");
    return options_.parse(static_cast<int>(arguments.size()), arguments.data());
  }
  std::string file(const std::string& text) {
    const std::string path = ::testing::TempDir() + "options_test.conf";
    std::ofstream(path) << text;
    return path;
  }
  Options options_;
};

TEST_F(OptionsTest, DefaultsAndValues) {
  ASSERT_TRUE(parse({"--model", "a b.gguf", "--rate=-2.5", "x", "y"}));
  EXPECT_EQ(options_.get_text("model"), "a b.gguf");
  EXPECT_EQ(options_.get_integer("layer"), 22);
  EXPECT_FALSE(options_.given("layer"));
  EXPECT_TRUE(options_.given("rate"));
  EXPECT_EQ(options_.get_number("rate"), -2.5);
  EXPECT_FALSE(options_.get_flag("overwrite"));
  EXPECT_THAT(options_.get_integers("sizes"), ElementsAre(16, 32));
  EXPECT_THAT(options_.get_texts("input"), ElementsAre("x", "y"));
}

TEST_F(OptionsTest, CommandLineWinsOverFile) {
  const std::string path = file("# a comment\nlayer = 7\nrate = 3\noverwrite = true\n");
  ASSERT_TRUE(parse({"--config", path.c_str(), "--layer", "-1"}));
  EXPECT_EQ(options_.get_integer("layer"), -1);
  EXPECT_EQ(options_.get_number("rate"), 3);
  EXPECT_TRUE(options_.get_flag("overwrite"));
}

TEST_F(OptionsTest, EffectiveOptionsReadBack) {
  ASSERT_TRUE(parse({"--model", "m.gguf", "--overwrite", "--rate", "1e-4", "one", "two"}));
  const std::string path = ::testing::TempDir() + "options_effective.conf";
  options_.write_effective(path);
  Options again("program", "");
  again.text("model", "", "").integer("layer", 1, "", "").number("rate", 0, "", "").flag("overwrite", "");
  again.text("sizes", "", "").positional("input", "");
  const char* arguments[] = {"program", "--config", path.c_str()};
  ASSERT_TRUE(again.parse(3, arguments));
  EXPECT_EQ(again.effective(), options_.effective());
  EXPECT_EQ(again.get_integer("layer"), 22);
  EXPECT_THAT(again.get_texts("input"), ElementsAre("one", "two"));
  EXPECT_FALSE(std::filesystem::exists(path + ".part"));
}

TEST_F(OptionsTest, Refusals) {
  EXPECT_REFUSED(parse({"--layers", "3"}), "--layers");
  EXPECT_REFUSED(parse({"--lay", "3"}), "--lay");  // no guessing
  EXPECT_REFUSED(parse({"--layer", "3", "--layer", "4"}), "--layer");
  EXPECT_REFUSED(parse({"--layer", "3x"}), "--layer: expected a whole number, got '3x'");
  EXPECT_REFUSED(parse({"--rate", "fast"}), "--rate: expected a number, got 'fast'");
  EXPECT_REFUSED(parse({"--rate", "nan"}), "--rate");
  EXPECT_REFUSED(parse({"--layer"}), "--layer");
  EXPECT_REFUSED(parse({"--config", "/nonexistent/file"}), "/nonexistent/file");
  const std::string path = file("layres = 7\n");
  EXPECT_REFUSED(parse({"--config", path.c_str()}), "layres");
  ASSERT_TRUE(parse({"--sizes", "1,,2"}));
  EXPECT_REFUSED(options_.get_text("model"), "--model is needed");
  EXPECT_REFUSED(options_.get_integers("sizes"), "--sizes");
  EXPECT_REFUSED(options_.get_integer("layer", 0, 21), "--layer: expected 0 to 21, got 22");
}

TEST_F(OptionsTest, ProgramReportsErrors) {
  const char* unknown[] = {"program", "--what"};
  EXPECT_EQ(run_program(options_, 2, unknown, [] { return 0; }), 2);
  const char* fine[] = {"program"};
  Options fresh("program", "");
  EXPECT_EQ(run_program(fresh, 1, fine, []() -> int { fail("no"); }), 1);
  Options another("program", "");
  EXPECT_EQ(run_program(another, 1, fine, [] { return 5; }), 5);
}

TEST(DeviceOption, OpensWhatItNames) {
  const auto open = [](std::vector<const char*> arguments) {
    Options options("program", "What it does.");
    declare_device(options);
    arguments.insert(arguments.begin(), "program");
    options.parse(static_cast<int>(arguments.size()), arguments.data());
    return open_device(options)->kind();
  };
  EXPECT_EQ(open({}), DeviceKind::cpu);
  EXPECT_EQ(open({"--device", "simt"}), DeviceKind::simt);
  EXPECT_REFUSED(open({"--device", "gpu"}), "device: expected cpu, simt or cuda, got 'gpu'");
}

TEST(Progress, Formats) {
  EXPECT_EQ(format_duration(7.4), "7 s");
  EXPECT_EQ(format_duration(200), "3 min 20 s");
  EXPECT_EQ(format_duration(7500), "2 h 05 min");
  EXPECT_EQ(format_count(0), "0");
  EXPECT_EQ(format_count(999), "999");
  EXPECT_EQ(format_count(1234567), "1,234,567");
  EXPECT_EQ(format_count(-123456), "-123,456");
}

TEST(Progress, PlainLinesInALog) {
  std::FILE* log = std::tmpfile();
  ASSERT_NE(log, nullptr);
  {
    Progress progress("harvest", 1000, "tokens", 0, log);
    for (int i = 0; i <= 1000; i += 10) progress.update(i, "note");  // too quick for a line in between
  }
  std::rewind(log);
  char text[512] = {};
  const size_t read = std::fread(text, 1, sizeof(text) - 1, log);
  std::fclose(log);
  EXPECT_THAT(std::string(text, read), MatchesRegex("harvest: 1,000 of 1,000 tokens \\(100 %\\), .* took 0 s, note\n"));
}

}  // namespace
}  // namespace sae
