#include "core/ingest/expression.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postern::ingest {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ExpressionTest : public ::testing::Test {
 protected:
  void SetUp() override {
    body_ = R"({"id":"EV1","n":7,"empty":"","null":null,"data":{"object":{"id":"AC9"}},"a:b":"c:d"})";
    request_ = http::Request::from_parts("POST", "/hook?account=A%31+x&e=&bad=%zz", "X-Id: from header\r\nX-Empty:\r\n",
                                         body_);
    json_ = *parser_.parse(body_);
  }

  Subject subject() const { return {request_, path_, json_}; }

  std::optional<Expression::Value> value(std::string_view text) const {
    const auto expression = Expression::parse(text);
    if (!expression) throw std::runtime_error(expression.status().message());
    return expression->evaluate(subject());
  }

  std::string text(std::string_view expression) const {
    const auto found = value(expression);
    return found ? found->text : "(nothing)";
  }

  std::string body_;
  http::Request request_;
  http::PathParameters path_ = {{"call_id", "CA1"}, {"none", ""}};
  JsonParser parser_;
  const JsonBody* json_ = nullptr;
};

TEST_F(ExpressionTest, EverySource) {
  EXPECT_EQ(text("json:/data/object/id"), "AC9");
  EXPECT_EQ(text("json:/n"), "7");
  EXPECT_EQ(text("header:x-id"), "from header");
  EXPECT_EQ(text("header:X-ID"), "from header");
  EXPECT_EQ(text("path:call_id"), "CA1");
  EXPECT_EQ(text("query:account"), "A1 x");
  EXPECT_EQ(text("const:ping"), "ping");
}

TEST_F(ExpressionTest, NothingThere) {
  for (const char* expression : {"", "  ", "json:/absent", "json:/empty", "json:/null", "json:/data", "header:x-none",
                                 "header:x-empty", "path:other", "path:none", "query:other", "query:e", "query:bad"}) {
    EXPECT_FALSE(value(expression)) << expression;
  }
}

TEST_F(ExpressionTest, TheFirstAlternativeThatIsThere) {
  EXPECT_EQ(text("json:/absent|json:/empty|header:x-id|json:/id"), "from header");
  EXPECT_EQ(text("json:/id | header:x-id"), "EV1");
  EXPECT_EQ(text("json:/absent|const:ping"), "ping");
}

TEST_F(ExpressionTest, PartsJoinedAndKeptApart) {
  const auto joined = value("path:call_id+json:/a:b+header:x-none+json:/n");
  ASSERT_TRUE(joined);
  EXPECT_EQ(joined->text, "CA1:c:d::7");
  std::vector<std::string_view> parts;
  for (size_t i = 0; i < joined->size(); ++i) parts.push_back(joined->part(i));
  EXPECT_THAT(parts, ElementsAre("CA1", "c:d", "", "7"));
  EXPECT_EQ(text("header:x-none+json:/n"), ":7");
  EXPECT_EQ(text("header:x-none+json:/absent|json:/id"), "EV1");
}

// Otherwise all requests without the other parts would share one id.
TEST_F(ExpressionTest, AConstantAloneIsNoIdentity) {
  EXPECT_EQ(text("const:v1+json:/id"), "v1:EV1");
  EXPECT_EQ(text("const:v1+json:/absent"), "(nothing)");
  EXPECT_EQ(text("const:a+const:b"), "a:b");
}

TEST_F(ExpressionTest, BodiesThatAreNotJson) {
  const Subject no_json{request_, path_, nullptr};
  const auto expression = Expression::parse("json:/id|header:x-id");
  ASSERT_TRUE(expression);
  EXPECT_EQ(expression->evaluate(no_json)->text, "from header");
}

TEST_F(ExpressionTest, FormsAndBodiesThatAreNone) {
  const http::Form form = {{"From", "+1"}, {"Empty", ""}, {"Sid", "first"}, {"Sid", "second"}, {"", "unnamed"}, {"a:b", "c"}};
  const Subject with{request_, path_, nullptr, &form}, without{request_, path_, json_};
  auto text_in = [](const Subject& subject, std::string_view text) {
    auto found = Expression::parse(text)->evaluate(subject);
    return found ? found->text : "(nothing)";
  };
  EXPECT_EQ(text_in(with, "form:From"), "+1") << "decoded before; not again";
  EXPECT_EQ(text_in(with, "form:Sid"), "first");
  EXPECT_EQ(text_in(with, "form:a:b"), "c");
  EXPECT_EQ(text_in(with, "form:Sid+form:None+form:From"), "first::+1");
  EXPECT_EQ(text_in(with, "form:Empty|form:from|form:From"), "+1") << "names are told by case";
  EXPECT_EQ(text_in(with, "json:/id|form:Sid"), "first");
  for (const char* expression : {"form:Empty", "form:sid", "form:None"})
    EXPECT_EQ(text_in(with, expression), "(nothing)") << expression;
  EXPECT_EQ(text_in(without, "form:From"), "(nothing)");
  EXPECT_EQ(text_in(without, "form:From|json:/id"), "EV1");
}

TEST_F(ExpressionTest, WhatItUses) {
  EXPECT_TRUE(Expression::parse("json:/a|header:b+form:c")->uses(Expression::Source::kForm));
  EXPECT_FALSE(Expression::parse("json:/form|const:form")->uses(Expression::Source::kForm));
  EXPECT_TRUE(Expression::parse("header:a|path:b+json:/c")->uses(Expression::Source::kJson));
  EXPECT_FALSE(Expression::parse("header:a|path:b")->uses(Expression::Source::kJson));
  EXPECT_TRUE(Expression::parse("")->empty());
  const auto parsed = Expression::parse("header:a+json:/b|const:c:d");
  ASSERT_EQ(parsed->alternatives().size(), 2u);
  EXPECT_EQ(parsed->alternatives()[0][1].name, "/b");
  EXPECT_EQ(parsed->alternatives()[1][0].name, "c:d");
  EXPECT_EQ(parsed->alternatives()[1][0].source, Expression::Source::kConst);
}

TEST_F(ExpressionTest, Malformed) {
  const std::pair<const char*, const char*> cases[] = {{"id", "is not source:name"},
                                                       {"body:/id", "unknown source"},
                                                       {"JSON:/id", "unknown source"},
                                                       {"json:", "has no name"},
                                                       {"const:", "has no name"},
                                                       {"form:", "has no name"},
                                                       {"Form:a", "unknown source"},
                                                       {"json:id", "has no JSON pointer"},
                                                       {"json:/a~2", "has no JSON pointer"},
                                                       {"header:x id", "no header name"},
                                                       {"json:/a||json:/b", "is not source:name"},
                                                       {"json:/a+", "is not source:name"},
                                                       {"|json:/a", "is not source:name"},
                                                       {"json:/a|", "is not source:name"}};
  for (const auto& [text, expected] : cases) {
    const auto expression = Expression::parse(text);
    ASSERT_FALSE(expression) << text;
    EXPECT_THAT(expression.status().message(), HasSubstr(expected)) << text;
  }
}

}  // namespace
}  // namespace postern::ingest
