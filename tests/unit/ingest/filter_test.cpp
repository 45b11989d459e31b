#include "core/ingest/filter.h"

#include <gtest/gtest.h>

namespace postern::ingest {
namespace {

using config::Condition;
using Source = Condition::Source;

constexpr const char* kBody =
    R"({"data":{"from":"+15551234567","amount":250.5,"count":3,"big":123456789012345678901234567890,"tags":["a","b"],"none":null,"ok":true,"of":"nan"}})";

class FilterTest : public ::testing::Test {
 protected:
  FilterTest() {
    event_.method = "POST";
    event_.target = "/hooks";
    event_.headers = "X-Kind: push\r\nx-kind: tag\r\nContent-Type: application/json\r\n";
    event_.body = kBody;
  }
  bool passes(std::vector<Condition> conditions) {
    auto filter = Filter::make(std::move(conditions));
    EXPECT_TRUE(filter) << filter.status().message();
    Content content(event_);
    return filter->passes(content);
  }
  NewEvent event_;
};

TEST_F(FilterTest, NoConditionsPassEverything) {
  EXPECT_TRUE(passes({}));
  event_.body = "no JSON";
  EXPECT_TRUE(passes({}));
}

TEST_F(FilterTest, Is) {
  EXPECT_TRUE(passes({{.name = "/data/from", .is = {"+15551234567"}}}));
  EXPECT_TRUE(passes({{.name = "/data/from", .is = {"+44*", "+1555*"}}}));
  EXPECT_FALSE(passes({{.name = "/data/from", .is = {"+1"}}}));
  EXPECT_TRUE(passes({{.name = "/data/tags/1", .is = {"b"}}}));
  EXPECT_TRUE(passes({{.name = "/data/ok", .is = {"true"}}}));
  EXPECT_FALSE(passes({{.name = "/data/absent", .is = {"*"}}}));
  EXPECT_FALSE(passes({{.name = "/data/none", .is = {"*"}}}));
  EXPECT_FALSE(passes({{.name = "/data", .is = {"*"}}})) << "an object has no text";
}

TEST_F(FilterTest, IsNotHoldsForWhatIsAbsentToo) {
  EXPECT_FALSE(passes({{.name = "/data/from", .is_not = {"x", "+1*"}}}));
  EXPECT_TRUE(passes({{.name = "/data/from", .is_not = {"+44*"}}}));
  EXPECT_TRUE(passes({{.name = "/data/absent", .is_not = {"*"}}}));
}

TEST_F(FilterTest, Exists) {
  EXPECT_TRUE(passes({{.name = "/data", .exists = true}}));
  EXPECT_TRUE(passes({{.name = "/data/none", .exists = false}})) << "null is no value";
  EXPECT_FALSE(passes({{.name = "/data/absent", .exists = true}}));
  EXPECT_TRUE(passes({{.source = Source::kHeader, .name = "x-other", .exists = false}}));
  EXPECT_FALSE(passes({{.source = Source::kHeader, .name = "x-kind", .exists = false}}));
}

TEST_F(FilterTest, Numbers) {
  EXPECT_TRUE(passes({{.name = "/data/amount", .at_least = 250.5}}));
  EXPECT_FALSE(passes({{.name = "/data/amount", .at_least = 250.6}}));
  EXPECT_TRUE(passes({{.name = "/data/count", .at_least = 1, .at_most = 3}}));
  EXPECT_FALSE(passes({{.name = "/data/count", .at_most = 2.9}}));
  EXPECT_TRUE(passes({{.name = "/data/big", .at_least = 1e29}}));
  EXPECT_FALSE(passes({{.name = "/data/from", .at_least = 1}})) << "a '+' is no JSON number";
  EXPECT_FALSE(passes({{.name = "/data/of", .at_least = 1}}));
  EXPECT_FALSE(passes({{.name = "/data/absent", .at_most = 1}}));
}

TEST_F(FilterTest, AHeaderMayComeTwiceAndHasNoCaseInItsName) {
  EXPECT_TRUE(passes({{.source = Source::kHeader, .name = "X-KIND", .is = {"tag"}}}));
  EXPECT_TRUE(passes({{.source = Source::kHeader, .name = "X-Kind", .is = {"push"}}}));
  EXPECT_FALSE(passes({{.source = Source::kHeader, .name = "X-Kind", .is = {"PUSH"}}}));
  EXPECT_FALSE(passes({{.source = Source::kHeader, .name = "X-Kind", .is_not = {"tag"}}}));
}

TEST_F(FilterTest, AForm) {
  Condition from = {.source = Source::kForm, .name = "From", .is = {"+1 555"}};
  event_.body = "To=x&From=%2B1+555";
  EXPECT_FALSE(passes({from})) << "the content type is another";
  event_.headers = "Content-Type: application/x-www-form-urlencoded; charset=utf-8\r\n";
  EXPECT_TRUE(passes({from}));
  EXPECT_FALSE(passes({{.name = "/From", .exists = true}})) << "a form is no JSON";
}

TEST_F(FilterTest, AllConditionsMustHold) {
  Condition good = {.name = "/data/count", .is = {"3"}}, bad = {.source = Source::kHeader, .name = "x-kind", .is = {"none"}};
  EXPECT_TRUE(passes({good, good}));
  EXPECT_FALSE(passes({good, bad}));
  EXPECT_FALSE(passes({bad, good}));
  EXPECT_FALSE(passes({{.name = "/data/count", .is = {"3"}, .at_least = 4}}));
}

TEST_F(FilterTest, ABodyThatIsNoJsonHasNoValues) {
  event_.body = R"({"data":)";
  EXPECT_FALSE(passes({{.name = "/data", .exists = true}}));
  EXPECT_TRUE(passes({{.name = "/data", .exists = false}}));
  event_.body.clear();
  EXPECT_FALSE(passes({{.name = "", .exists = true}}));
}

TEST_F(FilterTest, OneEventAfterTheOtherOnOneThread) {
  for (int i = 0; i < 3; ++i) {
    event_.body = R"({"n":)" + std::to_string(i) + "}";
    EXPECT_TRUE(passes({{.name = "/n", .is = {std::to_string(i)}}}));
  }
}

TEST(FilterMakeTest, AJsonPointerMustBeOne) {
  size_t at = 0;
  auto filter = Filter::make({{.name = "/ok", .exists = true}, {.name = "data.from", .exists = true}}, &at);
  EXPECT_FALSE(filter);
  EXPECT_EQ(at, 1u);
}

}  // namespace
}  // namespace postern::ingest
