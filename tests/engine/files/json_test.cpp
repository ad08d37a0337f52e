#include "engine/files/json.h"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>
#include <numbers>

#include "engine/error.h"
#include "tests/support/temporary_folder.h"

namespace sae {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

Json parse(std::string_view text) { return Json::parse(text, "file.json"); }

TEST(Json, ReadsEveryKindOfValue) {
  const Json json = parse(R"({"text": "a\u00e9", "no": false, "none": null, "big": 18446744073709551615,
                              "least": -9223372036854775808, "half": 0.5, "list": [1, 2.5], "in": {"deep": [[7]]}})");
  EXPECT_EQ(json.at("text").text(), "a\xC3\xA9");
  EXPECT_FALSE(json.at("no").boolean());
  EXPECT_TRUE(json.at("none").is_null());
  EXPECT_EQ(json.at("big").unsigned_integer(), UINT64_MAX);
  EXPECT_EQ(json.at("least").integer(), INT64_MIN);
  EXPECT_EQ(json.at("half").number(), 0.5);
  EXPECT_THAT(json.at("list").numbers(), ElementsAre(1.0, 2.5));
  EXPECT_EQ(json.at("in").at("deep").at(0).at(0).integer(), 7);
  EXPECT_EQ(json.size(), 8);
  EXPECT_EQ(json.key(1), "no");
  EXPECT_TRUE(json.has("half"));
  EXPECT_FALSE(json.has("third"));
}

TEST(Json, StreamsTheItemsOfNamedPartsAndKeepsTheRest) {
  const std::string text =
      R"({"a": {"list": [1, [2, 3]], "map": {"x": "y", "z": {}}}, "list": [4], "b": [{"list": [5]}]})";
  std::vector<std::string> taken;
  const Json::Stream stream = {{"a/list", "a/map", "b/list"},
                               [&](size_t place, const std::string& key, const Json& item) {
                                 taken.push_back(std::to_string(place) + key + item.dump());
                               }};
  EXPECT_EQ(Json::parse(text, "file.json", stream).dump(),
            R"({"a":{"list":[],"map":{}},"list":[4],"b":[{"list":[5]}]})");
  EXPECT_THAT(taken, ElementsAre("01", "0[2,3]", "1x\"y\"", "1z{}"));
  taken.clear();
  const Json::Stream nested = {{"", "a"}, stream.take};
  EXPECT_EQ(Json::parse(R"({"a": [1], "b": 2})", "file.json", nested).dump(), "{}");
  EXPECT_THAT(taken, ElementsAre("11", "0a[]", "0b2"));
}

TEST(Json, AStreamKnowsPlacesAndLimits) {
  const auto text_of = [](size_t, const std::string&, const Json& item) { item.text(); };
  EXPECT_THAT(
      [&] {
        Json::parse(R"({"a": {"b": {"c": 1}}})", "file.json", {{"a/b"}, text_of});
      },
      ThrowsMessage<Error>(HasSubstr("file.json: a b c expected text, got an integer")));
  const auto ignore = [](size_t, const std::string&, const Json&) {};
  const std::string long_list = R"({"a": [0, 0, 0, 0, 0, 0], "b": [0, 0, 0]})";
  EXPECT_NO_THROW(Json::parse(long_list, "file.json", {{"a"}, ignore, 6}));
  EXPECT_THAT(
      [&] {
        Json::parse(long_list, "file.json", {{"a"}, ignore, 5});
      },
      ThrowsMessage<Error>(HasSubstr("file.json: b more than 5 values")));
  EXPECT_THAT(
      [&] {
        Json::parse(long_list, "file.json", {{""}, ignore, 6});
      },
      ThrowsMessage<Error>(HasSubstr("file.json: a more than 6 values")));
}

TEST(Json, AChildOutlivesItsTree) {
  const Json child = parse(R"({"a": {"b": "kept"}})").at("a").at("b");
  EXPECT_EQ(child.text(), "kept");
}

TEST(Json, ErrorsNameFileAndPlace) {
  const Json json = parse(R"({"a": {"b": [1, "two", 99999999999999999999, -1]}})");
  const auto message = [](const char* text) { return ThrowsMessage<Error>(HasSubstr(text)); };
  EXPECT_THAT([&] { json.at("a").at("b").at(1).integer(); },
              message("file.json: a b[1] expected an integer of 64 bits, got text"));
  EXPECT_THAT([&] { json.at("a").at("b").integers(); }, message("file.json: a b[1]"));
  EXPECT_THAT([&] { json.at("a").at("b").at(2).integer(); }, message("got a number"));
  EXPECT_THAT([&] { json.at("a").at("b").at(3).unsigned_integer(); }, message("natural number"));
  EXPECT_THAT([&] { json.at("a").at("c"); }, message("file.json: a the key \"c\" is missing"));
  EXPECT_THAT([&] { json.at("a").at("b").at(4); }, message("item 4 of 4"));
  EXPECT_THAT([&] { json.at("a").text(); }, message("expected text, got an object"));
  EXPECT_THROW(json.at(-1), Error);
  EXPECT_THROW(json.key(1), Error);
  EXPECT_THROW(json.boolean(), Error);
  EXPECT_THROW(json.number(), Error);
  EXPECT_THROW(json.at("a").at("b").at("c"), Error);
  EXPECT_THROW(json.at("a").at("b").at(0).size(), Error);
}

TEST(Json, RefusesBadSyntax) {
  const char* bad[] = {"",       "{",           "[1,]",     "{\"a\":1,}", "nul",         "01",
                       "1 2",    "{\"a\" 1}",   "[1e999]",  "\"\xff\"",   "\"\\ud800\"", "{\"a\":1}}",
                       "[1 2]",  "'a'",         "\"a\nb\"", "NaN",        "Infinity",    "{1:2}",
                       "\"open", "[\"\\u12\"]", "\xEF\xBB", "// note\n1"};
  for (const char* text : bad) EXPECT_THROW(parse(text), Error) << text;
  EXPECT_THAT([] { parse("{\"a\":\n 1,}"); },
              ThrowsMessage<Error>(HasSubstr("file.json: not valid JSON: parse error at line 2")));
  EXPECT_THAT([] { parse(R"({"a": 1, "b": {"c": 1, "c": 2}})"); },
              ThrowsMessage<Error>(HasSubstr("the key \"c\" is given twice")));
}

TEST(Json, BoundsDepthAndTheLengthOfItsMessages) {
  std::string deep(64, '[');
  deep += std::string(64, ']');
  EXPECT_NO_THROW(parse(deep));
  EXPECT_THAT([] { parse(std::string(1000000, '[')); }, ThrowsMessage<Error>(HasSubstr("deeper than 64")));
  try {
    parse("\"" + std::string(100000, 'x'));
    FAIL();
  } catch (const Error& error) {
    EXPECT_LT(std::string(error.what()).size(), 400u);
  }
}

TEST(Json, ManyKeysTakeNoQuadraticTime) {
  std::string text = "{";
  for (int i = 0; i < 200000; ++i) text += "\"key" + std::to_string(i) + "\":" + std::to_string(i) + ",";
  text.back() = '}';
  EXPECT_EQ(parse(text).at("key199999").integer(), 199999);
}

TEST(Json, PrintsInOrderAndReadsBack) {
  Json json;
  json.set("z", 1).set("a", "q\"\\\n\x01").set("flag", true).set("none", Json());
  json.set("shape", std::vector<int64_t>{2, 3}).set("empty", Json::object());
  json.set("nested", Json::array().push(Json::object().set("k", 1)).push(2));
  EXPECT_EQ(json.dump(),
            R"({"z":1,"a":"q\"\\\n\u0001","flag":true,"none":null,"shape":[2,3],"empty":{},"nested":[{"k":1},2]})");
  EXPECT_EQ(parse(json.dump()).dump(), json.dump());
  EXPECT_EQ(parse(json.dump(2)).dump(2), json.dump(2));
  EXPECT_THAT(json.dump(2), HasSubstr("\n  \"shape\": [2, 3],\n"));
}

TEST(Json, NumbersReadBackExactly) {
  for (const double value : {0.1, 1.0 / 3.0, std::numbers::pi, 1e-310, -0.0, 1e300, 123456789012345680.0,
                             std::numeric_limits<double>::denorm_min(), std::numeric_limits<double>::max()}) {
    const double read = parse(Json(value).dump()).number();
    EXPECT_EQ(std::signbit(read), std::signbit(value));
    EXPECT_EQ(read, value) << Json(value).dump();
  }
  const float single = 0.1f;
  EXPECT_EQ(static_cast<float>(parse(Json(single).dump()).number()), single);
  EXPECT_EQ(Json(3.0).dump(), "3.0");
  EXPECT_EQ(Json(UINT64_MAX).dump(), "18446744073709551615");
  EXPECT_EQ(Json(uint64_t{7}).integer(), 7);
}

TEST(Json, NotANumberBecomesNull) {
  EXPECT_TRUE(Json(std::numeric_limits<double>::quiet_NaN()).is_null());
  EXPECT_EQ(Json(std::vector<double>{1.5, std::numeric_limits<double>::infinity()}).dump(), "[1.5,null]");
  EXPECT_THAT([] { parse("null").number(); }, ThrowsMessage<Error>(HasSubstr("expected a number, got null")));
}

TEST(Json, CopiesAreIndependent) {
  Json first = Json::object().set("a", 1);
  Json second = first;
  second.set("a", 2).set("b", 3);
  EXPECT_EQ(first.dump(), R"({"a":1})");
  EXPECT_EQ(second.dump(), R"({"a":2,"b":3})");
  Json inner = Json::array().push(1);
  first.set("list", inner);
  inner.push(2);
  EXPECT_EQ(first.dump(), R"({"a":1,"list":[1]})");
  first.at("list").push(3);
  EXPECT_EQ(first.dump(), R"({"a":1,"list":[1]})");
  first.set("self", first);
  EXPECT_EQ(first.dump(), R"({"a":1,"list":[1],"self":{"a":1,"list":[1]}})");
  EXPECT_THROW(first.push(1), Error);
  EXPECT_EQ(first.size(), 3);
  EXPECT_THROW(inner.set("a", 1), Error);
}

TEST(Json, ForeignBytesAreReplaced) { EXPECT_EQ(Json("a\xff").dump(), "\"a\xEF\xBF\xBD\""); }

TEST(Json, WritesAndReadsFiles) {
  const TemporaryFolder folder;
  Json::object().set("a", 1).write(folder.path("x.json"), IfExists::refuse);
  EXPECT_EQ(folder.read("x.json"), "{\n  \"a\": 1\n}\n");
  EXPECT_EQ(Json::read(folder.path("x.json")).at("a").integer(), 1);
  folder.write("bad.json", "{");
  EXPECT_THAT([&] { Json::read(folder.path("bad.json")); }, ThrowsMessage<Error>(HasSubstr("bad.json: not valid")));
}

}  // namespace
}  // namespace sae
