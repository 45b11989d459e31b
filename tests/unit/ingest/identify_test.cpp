#include "core/ingest/identify.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <stdexcept>

#include "core/signature/described_scheme.h"

namespace postern::ingest {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Expression expression(std::string_view text) {
  auto parsed = Expression::parse(text);
  if (!parsed) throw std::runtime_error(parsed.status().message());
  return *parsed;
}

class IdentifyTest : public ::testing::Test {
 protected:
  IdentifyTest() {
    route_.provider = "acme";
    route_.method = "POST";
    route_.path = "/hook";
    route_.unsigned_id_from = expression("json:/id");
    route_.type_from = expression("json:/type");
    route_.order_key_from = expression("json:/conversation");
  }
  Result<NewEvent> identify(const std::string& body, const std::string& headers = "") {
    request_ = http::Request::from_parts("POST", "/hook?a=1", headers, body);
    return ingest::identify(route_, scheme_, request_, path_, parser_);
  }
  NewEvent event(const std::string& body, const std::string& headers = "") {
    auto found = identify(body, headers);
    if (!found) throw std::runtime_error(found.status().message());
    return std::move(*found);
  }
  std::string refusal(const std::string& body, const std::string& headers = "") {
    auto found = identify(body, headers);
    if (found) return "(taken)";
    EXPECT_EQ(found.status().code(), Code::kInvalid);
    EXPECT_EQ(request_.body(), body) << "the body of a refused request stays";
    return found.status().message();
  }

  Route route_;
  const signature::Scheme* scheme_ = nullptr;
  http::PathParameters path_;
  http::Request request_;
  JsonParser parser_;
};

TEST_F(IdentifyTest, TakesEverythingFromTheRequest) {
  std::string body = R"({"id":"EV1","type":"thing.made","conversation":"C1"})";
  NewEvent e = event(body, "Content-Type: application/json\r\nX-A: b\r\n");
  EXPECT_EQ(e.provider, "acme");
  EXPECT_EQ(e.type, "acme.thing.made");
  EXPECT_EQ(e.external_id, "EV1");
  EXPECT_EQ(e.order_key, "C1");
  EXPECT_EQ(e.method, "POST");
  EXPECT_EQ(e.target, "/hook?a=1");
  EXPECT_EQ(e.headers, "Content-Type: application/json\r\nX-A: b\r\n");
  EXPECT_EQ(request_.body(), body) << "the body stays where it is: a reply handler may need it as well";
  EXPECT_EQ(e.depth, 0u);
}

TEST_F(IdentifyTest, WithoutATypeItIsUnknown) {
  EXPECT_EQ(event(R"({"id":"1"})").type, "acme.unknown");
  EXPECT_EQ(event(R"({"id":"1","type":{}})").type, "acme.unknown");
  EXPECT_EQ(event(R"({"id":"1","type":7})").type, "acme.7");
}

TEST_F(IdentifyTest, WithoutAnIdTheBodyIsTheId) {
  NewEvent first = event(R"({"n":1})"), again = event(R"({"n":1})"), other = event(R"({"n": 1})");
  // printf '{"n":1}' | sha256sum
  EXPECT_EQ(first.external_id, "sha256:2bfd14f43d17fc7cea24e0917a8879b4b2f880b8baeec1b9d90fbaad655e71bd");
  EXPECT_EQ(first.dedupe_key, again.dedupe_key);
  EXPECT_NE(first.dedupe_key, other.dedupe_key);
}

TEST_F(IdentifyTest, AKeyIsOfOneProviderOneRouteAndOneId) {
  std::set<DedupeKey> keys;
  auto add = [&](const std::string& body) { keys.insert(event(body).dedupe_key); };
  add(R"({"id":"1"})");
  add(R"({"id":"1","type":"x","conversation":"y"})");  // the same event
  EXPECT_EQ(keys.size(), 1u);
  add(R"({"id":"2"})");
  route_.path = "/hook2";
  add(R"({"id":"1"})");
  route_.provider = "acme/hook2";
  route_.path = "";
  add(R"({"id":"1"})");
  EXPECT_EQ(keys.size(), 4u);
}

TEST_F(IdentifyTest, PartsStayApart) {
  route_.unsigned_id_from = expression("json:/a+json:/b");
  NewEvent first = event(R"({"a":"x:y","b":"z"})"), second = event(R"({"a":"x","b":"y:z"})"),
           third = event(R"({"a":"x:y:z"})");
  EXPECT_EQ(first.external_id, second.external_id);
  EXPECT_NE(first.dedupe_key, second.dedupe_key);
  EXPECT_NE(first.dedupe_key, third.dedupe_key);
  EXPECT_EQ(event(R"({"a":"x"})").dedupe_key, event(R"({"a":"x","b":""})").dedupe_key) << "absent parts count as empty";
}

TEST_F(IdentifyTest, WhatTheRouteRequires) {
  route_.required.push_back(expression("json:/id"));
  EXPECT_EQ(refusal(R"({"type":"x"})"), "a required field is missing");
  EXPECT_EQ(refusal(R"({"id":""})"), "a required field is missing");
  EXPECT_EQ(refusal(R"({"id":"1"})"), "(taken)");
}

TEST_F(IdentifyTest, WhatIsNoJsonObject) {
  for (const char* body :
       {"", " ", "x", "[]", "1", "\"text\"", "null", "{", "{}x", "{\"a\":\"\xff\"}", "\xef\xbb\xbf"}) {
    EXPECT_THAT(refusal(body), HasSubstr("JSON")) << body;
  }
  std::string deep;
  for (int i = 0; i < 10'000; ++i) deep += "{\"a\":";
  EXPECT_THAT(refusal(deep), HasSubstr("JSON"));
}

TEST_F(IdentifyTest, ARouteThatReadsNoJsonTakesAnyBody) {
  route_.unsigned_id_from = expression("header:x-id");
  route_.type_from = expression("const:ping");
  route_.order_key_from = expression("");
  std::string body("\0\xff not JSON", 11);
  NewEvent e = event(body, "X-Id: 1\r\n");
  EXPECT_EQ(e.type, "acme.ping");
}

TEST_F(IdentifyTest, ValuesAreBounded) {
  auto body = [](const std::string& id, const std::string& type, const std::string& key) {
    return R"({"id":")" + id + R"(","type":")" + type + R"(","conversation":")" + key + R"("})";
  };
  std::string longest(kMaxIdBytes, 'x'), type(kMaxTypeBytes - 5, 'x');
  EXPECT_EQ(refusal(body(longest, type, longest)), "(taken)");
  EXPECT_THAT(refusal(body(longest + "x", "t", "k")), HasSubstr("id is too long"));
  EXPECT_THAT(refusal(body("i", type + "x", "k")), HasSubstr("type is too long"));
  EXPECT_THAT(refusal(body("i", "t", longest + "x")), HasSubstr("order key is too long"));
  for (const char* control : {"\\u0000", "\\n", "\\u001b[31m", "\\u007f"}) {
    EXPECT_THAT(refusal(body(control, "t", "k")), HasSubstr("id is"));
    EXPECT_THAT(refusal(body("i", control, "k")), HasSubstr("type is"));
    EXPECT_THAT(refusal(body("i", "t", control)), HasSubstr("order key is"));
  }
}

// For providers that give no id: a repetition has the same content where it counts, and other times around it.
TEST_F(IdentifyTest, WithoutAnIdTheContentCounts) {
  route_.content_from = expression("json:/from+json:/text");
  std::string first = R"({"type":"t","from":"a","text":"b","sent":1})";
  std::string again = R"({"sent":2,"text":"b","from":"a","type":"t"})";
  EXPECT_EQ(event(first).dedupe_key, event(again).dedupe_key);
  EXPECT_EQ(event(first).external_id, event(again).external_id);
  EXPECT_THAT(event(first).external_id, ::testing::MatchesRegex("sha256:[0-9a-f]{64}"));
  EXPECT_NE(event(R"({"from":"a","text":"c"})").dedupe_key, event(first).dedupe_key);
  EXPECT_NE(event(R"({"from":"a:b","text":"c"})").dedupe_key, event(R"({"from":"a","text":"b:c"})").dedupe_key);
  std::string large = R"({"from":"a","text":")" + std::string(100'000, 'x');
  EXPECT_NE(event(large + "1\"}").dedupe_key, event(large + "2\"}").dedupe_key) << "however long";
  EXPECT_EQ(event(R"({"id":"E1","from":"a","text":"b"})").external_id, "E1") << "an id comes first";
  EXPECT_NE(event(R"({"other":1})").dedupe_key, event(R"({"other":2})").dedupe_key) << "nothing of it there: the body";
}

TEST_F(IdentifyTest, AHeaderIsHeldToTheSameBounds) {
  route_.unsigned_id_from = expression("header:x-id");
  EXPECT_THAT(refusal("{}", "X-Id: \xff\xfe\r\n"), HasSubstr("id is"));
}

TEST_F(IdentifyTest, ARefusalRepeatsNoInput) {
  EXPECT_THAT(refusal(R"({"id":")" + std::string(2000, 's') + R"("})"), Not(HasSubstr("sss")));
}

TEST_F(IdentifyTest, AnUnorderedRouteHasNoOrderKey) {
  route_.ordered = false;
  EXPECT_EQ(event(R"({"id":"1","conversation":"C1"})").order_key, "");
}

TEST_F(IdentifyTest, CredentialsAreNotStored) {
  NewEvent e = event(R"({"id":"1"})",
                     "Authorization: Bearer s3cret\r\ncOOKie: s3cret\r\nProxy-Authorization: s3cret\r\nX-Kept: "
                     "yes\r\nX-Signature: abc\r\n");
  EXPECT_EQ(e.headers, "X-Kept: yes\r\nX-Signature: abc\r\n");
}

TEST_F(IdentifyTest, TheSchemeThatVerifiedSaysWhereTheIdIs) {
  signature::SchemeDescription description;
  description.name = "s";
  description.header = "x-signature";
  description.secrets = {"secret"};
  description.signed_bytes = "{body}";
  auto compiled = signature::DescribedScheme::compile(description);
  ASSERT_TRUE(compiled.is_ok()) << compiled.status().message();
  auto scheme = std::make_shared<const signature::DescribedScheme>(std::move(*compiled));
  route_.schemes.push_back({scheme, expression("header:x-id")});
  scheme_ = scheme.get();
  EXPECT_EQ(event(R"({"id":"from the body"})", "X-Id: from the header\r\n").external_id, "from the header");
  scheme_ = nullptr;
  EXPECT_EQ(event(R"({"id":"from the body"})", "X-Id: from the header\r\n").external_id, "from the body");
}

// ---- forms

class IdentifyFormTest : public IdentifyTest {
 protected:
  static constexpr const char* kType = "Content-Type: application/x-www-form-urlencoded\r\n";
  IdentifyFormTest() {
    route_.unsigned_id_from = expression("form:Sid+form:Status");
    route_.type_from = expression("form:Type");
    route_.order_key_from = expression("form:Sid");
  }
  static std::string many(size_t count) {
    std::string body = "Sid=1";
    for (size_t i = 1; i < count; ++i) body += "&p=" + std::to_string(i);
    return body;
  }
};

TEST_F(IdentifyFormTest, IsReadFromTheForm) {
  std::string body = "Type=call+status&Sid=CA1&Status=%62usy&Sid=CA2";
  NewEvent e = event(body, kType);
  EXPECT_EQ(e.type, "acme.call status");
  EXPECT_EQ(e.external_id, "CA1:busy") << "of equal names the first counts";
  EXPECT_EQ(e.order_key, "CA1");
  EXPECT_EQ(request_.body(), body) << "exact bytes are what is stored";
  EXPECT_EQ(event(body, "content-type: Application/X-WWW-Form-UrlEncoded; charset=utf-8\r\n").external_id, "CA1:busy");
}

TEST_F(IdentifyFormTest, TakesAThousandParametersAndNotOneMore) {
  EXPECT_EQ(event(many(1000), kType).external_id, "1:");
  EXPECT_EQ(refusal(many(1001), kType), "the form has too many parameters");
  EXPECT_EQ(refusal(many(10'000), kType), "the form has too many parameters");
  EXPECT_EQ(event(many(1000) + "&&&&&", kType).external_id, "1:") << "empty sequences are none";
  // A route that reads no form does not count either.
  route_.unsigned_id_from = expression("header:x-id");
  route_.type_from = route_.order_key_from = expression("");
  EXPECT_EQ(event(many(10'000), kType).type, "acme.unknown");
}

// Attack: a mebibyte of empty parameters costs the loop far more than its bytes when it is taken apart before it is counted.
TEST_F(IdentifyFormTest, RefusesTooManyParametersBeforeItTakesThemApart) {
  auto quickest = [this](const std::string& body) {
    auto best = std::chrono::nanoseconds::max();
    for (int i = 0; i < 5; ++i) {
      auto begin = std::chrono::steady_clock::now();
      EXPECT_EQ(refusal(body, kType), "the form has too many parameters");
      best = std::min<std::chrono::nanoseconds>(best, std::chrono::steady_clock::now() - begin);
    }
    return best;
  };
  std::string tiny;
  while (tiny.size() < 1 << 20) tiny += "a&";
  std::string few = many(1000) + "&long=" + std::string(tiny.size(), 'x') + "&last=1";
  EXPECT_LT(quickest(tiny).count(), 3 * quickest(few).count()) << "as long, with a thousand parameters";
}

TEST_F(IdentifyFormTest, RefusesWhatIsNotUtf8WhereverItIs) {
  for (const char* body : {"Sid=%ff", "Sid=1&Other=\xfe", "Sid=1&%c3=2", "Sid=%ed%a0%80", "Sid=%c0%80"}) {
    EXPECT_EQ(refusal(body, kType), "the form is not UTF-8") << body;
  }
  EXPECT_EQ(event("Sid=%c3%a9", kType).external_id, "\xc3\xa9:");
}

TEST_F(IdentifyFormTest, ABodyOfAnotherTypeIsNoForm) {
  for (const char* headers : {"", "Content-Type: application/json\r\n", "Content-Type: text/plain\r\n"}) {
    NewEvent e = event("Sid=1&Type=x", headers);
    EXPECT_EQ(e.type, "acme.unknown") << headers;
    EXPECT_THAT(e.external_id, ::testing::StartsWith("sha256:"));
    EXPECT_EQ(e.order_key, "");
  }
  route_.required.push_back(expression("form:Sid"));
  EXPECT_EQ(refusal("Sid=1", "Content-Type: application/json\r\n"), "a required field is missing");
  EXPECT_EQ(refusal("Sid=1"), "a required field is missing");
  EXPECT_EQ(refusal("Sid=1", kType), "(taken)");
}

TEST_F(IdentifyFormTest, RefusesARequiredFieldThatIsAbsentOrEmpty) {
  route_.required.push_back(expression("form:Sid"));
  for (const char* body : {"", "Sid", "Sid=", "sid=1", "Sid%00=1", "Status=busy"}) {
    EXPECT_EQ(refusal(body, kType), "a required field is missing") << body;
  }
}

TEST_F(IdentifyFormTest, HoldsItsValuesToTheSameBounds) {
  for (const char* value : {"%00", "%0a", "%1b%5b31m", "%7f"}) {
    EXPECT_THAT(refusal("Sid=" + std::string(value), kType), HasSubstr("id is too long or not plain text"));
    EXPECT_THAT(refusal("Sid=1&Type=" + std::string(value), kType), HasSubstr("type is"));
  }
  EXPECT_THAT(refusal("Sid=" + std::string(2000, 's'), kType), Not(HasSubstr("sss")));
}

// A provider may send an empty part or leave it out; each way it is one and the same event.
TEST_F(IdentifyFormTest, AbsentPartsCountAsEmpty) {
  EXPECT_EQ(event("Sid=1", kType).dedupe_key, event("Sid=1&Status=", kType).dedupe_key);
  EXPECT_NE(event("Sid=1", kType).dedupe_key, event("Sid=1&Status=busy", kType).dedupe_key);
  EXPECT_NE(event("Sid=a%3Ab", kType).dedupe_key, event("Sid=a&Status=b%3A", kType).dedupe_key);
}

}  // namespace
}  // namespace postern::ingest
