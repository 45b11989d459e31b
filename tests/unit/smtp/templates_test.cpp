// Templates: what they render, where they are wrong, and what bounds them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "smtp/refused.h"
#include "smtp/templates.h"

namespace smtp {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

std::string rendered(TemplateKind kind, const std::string& source, const json& values) { return Template(kind, source).render(values); }

std::string fault(const std::string& source) {
  try {
    Template compiled(TemplateKind::kText, source);
  } catch (const TemplateFault& found) {
    return found.what();
  }
  return "none";
}

const json kValues = {{"event", {{"data", {{"from", "+1 <555>"}, {"count", 3}, {"price", 1.5}, {"yes", true}, {"no", false}, {"none", nullptr}, {"empty", ""}}}}},
                      {"items", {{{"name", "a"}}, {{"name", "b"}}}},
                      {"nothing", json::array()}};

TEST(SmtpTemplates, DottedNamesSectionsAndNumbers) {
  EXPECT_EQ(rendered(TemplateKind::kText, "From {{event.data.from}}: {{event.data.count}} {{ event.data.price }}", kValues), "From +1 <555>: 3 1.5");
  EXPECT_EQ(rendered(TemplateKind::kText, "{{#items}}{{name}},{{/items}}{{^nothing}}none{{/nothing}}", kValues), "a,b,none");
  EXPECT_EQ(rendered(TemplateKind::kText, "{{#event.data.yes}}yes {{event.data.yes}}{{/event.data.yes}}{{#event.data.no}}no{{/event.data.no}}", kValues), "yes true");
  EXPECT_EQ(rendered(TemplateKind::kText, "{{^event.data.empty}}e{{/event.data.empty}}{{^event.data.none}}n{{/event.data.none}}[{{absent.name}}]", kValues), "en[]");
  EXPECT_EQ(rendered(TemplateKind::kText, "{{#event}}{{#data}}{{from}}{{/data}}{{/event}}{{! a comment }}", kValues), "+1 <555>");
}

TEST(SmtpTemplates, OnlyHtmlIsEscaped) {
  const json values = {{"x", "<a href=\"'\">&"}};
  EXPECT_EQ(rendered(TemplateKind::kHtml, "{{x}}|{{{x}}}|{{&x}}", values), "&lt;a href=&quot;&apos;&quot;&gt;&amp;|<a href=\"'\">&|<a href=\"'\">&");
  EXPECT_EQ(rendered(TemplateKind::kText, "{{x}}", values), "<a href=\"'\">&");
  EXPECT_EQ(rendered(TemplateKind::kSubject, "{{x}}", values), "<a href=\"'\">&");
}

TEST(SmtpTemplates, ASubjectIsOneLineWhateverTheValues) {
  const json values = {{"text", "first\r\nBcc: x@y\n\n\tthird\x01" + std::string(1, '\0') + "!\n"}};
  EXPECT_EQ(rendered(TemplateKind::kSubject, "SMS: {{text}}\n", values), "SMS: first Bcc: x@y third !");
}

TEST(SmtpTemplates, AFaultHasItsPlace) {
  EXPECT_EQ(fault("Hello {{name"), "line 1, column 7: this tag is not closed by }}");
  EXPECT_EQ(fault("a\nb {{#items}}\n{{name}}"), "line 2, column 3: the section 'items' is not closed");
  EXPECT_EQ(fault("{{#a}}\n  {{#b}}\n{{/a}}{{/b}}"), "line 3, column 1: the section 'b' is still open here");
  EXPECT_EQ(fault("x{{/a}}"), "line 1, column 2: the section 'a' was not opened");
  EXPECT_THAT(fault("{{> header}}"), HasSubstr("column 1: partials are not there"));
  EXPECT_THAT(fault("{{=<% %>=}}"), HasSubstr("delimiters cannot be changed"));
  EXPECT_THAT(fault("{{{x}}"), HasSubstr("not closed by }}}"));
  EXPECT_THAT(fault("{{  }}"), HasSubstr("this tag is empty"));
  EXPECT_THAT(fault("{{"), HasSubstr("not closed"));
  EXPECT_EQ(fault("}} {single} {{a}}{{{b}}}"), "none");
  std::string deep;
  for (int i = 0; i < 33; ++i) deep += "{{#a}}";
  EXPECT_THAT(fault(deep), HasSubstr("nested deeper than 32"));
  EXPECT_THAT(fault(std::string(257 << 10, 'x')), HasSubstr("more than 256 KiB"));
}

TEST(SmtpTemplates, RenderingIsBounded) {
  json list = json::array();
  for (int i = 0; i < 2'000; ++i) list.push_back({{"x", std::string(100, 'x')}});
  EXPECT_EQ(rendered(TemplateKind::kText, "{{#l}}{{x}}{{/l}}", {{"l", list}}).size(), 200'000u);
  const json values = {{"l", list}, {"big", std::string(700 << 10, 'y')}};
  const std::pair<const char*, std::string> cases[] = {{"output", "{{big}}\n{{big}}"},
                                                       {"a line without an end", "{{#l}}{{big}}{{/l}}"},
                                                       {"text repeated", "{{#l}}" + std::string(2'000, 't') + "\n{{/l}}"},
                                                       {"text repeated without line ends", "{{#l}}" + std::string(100'000, 't') + "{{/l}}"},
                                                       {"rounds without output", "{{#l}}{{#l}}{{#l}}{{/l}}{{/l}}{{/l}}"}};
  for (const auto& [name, source] : cases) EXPECT_THROW(rendered(TemplateKind::kText, source, values), Refused) << name;
  json deep = "x";
  for (int i = 0; i < 100; ++i) deep = {{"a", deep}};
  EXPECT_THROW(rendered(TemplateKind::kText, "{{a}}", deep), Refused);
}

TEST(SmtpTemplates, ValuesAreNotTemplates) {
  EXPECT_EQ(rendered(TemplateKind::kText, "{{a}}", {{"a", "{{b}}{{#c}}"}, {"b", "secret"}}), "{{b}}{{#c}}");
}

TEST(SmtpTemplates, SeveralThreadsRenderAtOnce) {
  const Template compiled(TemplateKind::kText, "{{#l}}{{.}};{{/l}}");
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 200; ++i) wrong += compiled.render({{"l", {t, i}}}) != std::to_string(t) + ";" + std::to_string(i) + ";";
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace smtp
