// What `postern send` sends is what the gateway accepts.
#include "core/cli/sample_request.h"

#include <gmock/gmock.h>

#include "core/signature/described_scheme.h"

#include <stdexcept>

namespace postern::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using signature::Verdict;

constexpr int64_t kNow = 1'763'610'185'250;  // 2025-11-20T03:43:05.250Z

class SampleRequestTest : public ::testing::Test {
 protected:
  SampleRequestTest() {
    sample_.method = "POST";
    sample_.target = "/hook";
    sample_.content_type = "application/json";
    sample_.body = R"({"id":"{{id}}"})";
  }
  void add(const std::string& path, std::vector<ingest::Route::SchemeUse> schemes = {}) {
    ingest::Route route;
    route.provider = "acme";
    route.method = "POST";
    route.path = path;
    route.schemes = std::move(schemes);
    if (Status s = routes_.add(std::move(route)); !s) throw std::runtime_error(s.message());
  }
  static ingest::Route::SchemeUse use(signature::SchemeDescription description) {
    auto compiled = signature::DescribedScheme::compile(std::move(description));
    if (!compiled) throw std::runtime_error(compiled.status().message());
    return {std::make_shared<const signature::DescribedScheme>(std::move(*compiled)), {}};
  }
  // Signs id, timestamp and body, each in a header of its own.
  static signature::SchemeDescription listed(const std::string& secret = "one secret") {
    signature::SchemeDescription d;
    d.name = "listed";
    d.header = "x-signature";
    d.format = "v1,{signature}";
    d.separator = " ";
    d.timestamp_header = "x-timestamp";
    d.id_header = "x-id";
    d.signed_bytes = "{id}.{timestamp}.{body}";
    d.signature_encoding = signature::Encoding::kBase64;
    d.secrets = {secret};
    return d;
  }
  static signature::SchemeDescription plain(const std::string& secret = "one secret") {
    signature::SchemeDescription d;
    d.name = "plain";
    d.header = "x-plain";
    d.format = "sha256={signature}";
    d.secrets = {secret};
    return d;
  }
  SampleRequest make(std::string id = "ID7") {
    auto made = make_request(routes_, sample_, "", std::move(id), kNow);
    if (!made) throw std::runtime_error(made.status().message());
    return *made;
  }
  static Verdict verdict(const ingest::Route::SchemeUse& use, const http::Request& request, int64_t now_ms = kNow) {
    return use.scheme->verify({request, now_ms, {}, "192.0.2.1"}, nullptr);
  }
  // The request as the gateway reads it.
  static http::Request received(const SampleRequest& sent) {
    std::string lines;
    for (const auto& [name, value] : sent.headers) lines += name + ": " + value + "\r\n";
    return http::Request::from_parts(sent.method, sent.target, lines, sent.body);
  }

  ingest::RouteTable routes_;
  plugin::Sample sample_;
};

TEST_F(SampleRequestTest, FillsInEachPlaceholder) {
  add("/hook");
  sample_.body = "{{id}} {{now}} {{unix}} {{unix_ms}}";
  sample_.headers = {{"X-Sent", "{{unix}}"}, {"X-Fixed", "as it is"}};
  SampleRequest made = make();
  EXPECT_EQ(made.id, "ID7");
  EXPECT_EQ(made.method, "POST");
  EXPECT_EQ(made.body, "ID7 2025-11-20T03:43:05Z 1763610185 1763610185250");
  http::Request request = received(made);
  EXPECT_EQ(request.header("content-type"), "application/json");
  EXPECT_EQ(request.header("x-sent"), "1763610185");
  EXPECT_EQ(request.header("x-fixed"), "as it is");
}

TEST_F(SampleRequestTest, FillsInAPlaceholderEachTimeItStandsThere) {
  add("/hook");
  sample_.body = "{{id}}{{id}}-{{id}}";
  EXPECT_EQ(make().body, "ID7ID7-ID7");
}

TEST_F(SampleRequestTest, LeavesUnknownPlaceholdersAlone) {
  add("/hook");
  sample_.body = "{{ID}} {id} {{}} {{ id }} {{unknown}} {{id";
  EXPECT_EQ(make().body, sample_.body);
}

// An id of the user's that holds its own placeholder must not be filled in for ever.
TEST_F(SampleRequestTest, FillsInNothingInsideTheId) {
  add("/hook");
  EXPECT_EQ(make("a{{id}}b").body, R"({"id":"a{{id}}b"})");
}

TEST_F(SampleRequestTest, FillsInTheTarget) {
  add("/calls/{call}/hook");
  sample_.target = "/calls/{{id}}/hook?at={{unix}}";
  EXPECT_EQ(make().target, "/calls/ID7/hook?at=1763610185");
}

TEST_F(SampleRequestTest, MakesFreshIds) {
  add("/hook");
  SampleRequest one = make(""), two = make("");
  EXPECT_THAT(one.id, MatchesRegex("[0-9a-f]{24}"));
  EXPECT_NE(one.id, two.id);
  EXPECT_EQ(one.body, R"({"id":")" + one.id + R"("})");
}

TEST_F(SampleRequestTest, NeedsNoContentType) {
  add("/hook");
  sample_.content_type.clear();
  EXPECT_TRUE(make().headers.empty());
}

TEST_F(SampleRequestTest, RefusesWhatNoRouteTakes) {
  add("/hook");
  sample_.target = "/nothing?a=1";
  auto made = make_request(routes_, sample_, "", "ID7", kNow);
  EXPECT_EQ(made.status().code(), Code::kNotFound);
  EXPECT_EQ(made.status().message(), "no route takes POST /nothing");
  sample_.target = "/hook";
  sample_.method = "PUT";
  EXPECT_EQ(make_request(routes_, sample_, "", "ID7", kNow).status().message(), "no route takes PUT /hook");
}

TEST_F(SampleRequestTest, SignsNothingWhereTheRouteHasNoScheme) {
  add("/hook");
  EXPECT_EQ(make().headers.size(), 1u);
}

TEST_F(SampleRequestTest, SignsSoThatTheGatewayAccepts) {
  for (auto description : {listed(), plain()}) {
    auto used = use(description);
    add("/" + description.name, {used});
    sample_.target = "/" + description.name;
    sample_.body = R"({"id":"{{id}}","at":"{{now}}"})";
    SampleRequest made = make();
    EXPECT_TRUE(used.scheme->applies_to(received(made))) << description.name;
    EXPECT_EQ(verdict(used, received(made)), Verdict::kAccepted) << description.name;
    made.body += ' ';
    EXPECT_EQ(verdict(used, received(made)), Verdict::kWrong) << "the filled-in body is what is signed";
  }
}

TEST_F(SampleRequestTest, SignsForTheMomentItIsGiven) {
  auto used = use(listed());
  add("/hook", {used});
  EXPECT_EQ(verdict(used, received(make()), kNow + 3'600'000), Verdict::kStale);
}

TEST_F(SampleRequestTest, SignsByTheFirstSchemeAlone) {
  auto first = use(listed()), second = use(plain());
  add("/hook", {first, second});
  http::Request request = received(make());
  EXPECT_EQ(verdict(first, request), Verdict::kAccepted);
  EXPECT_FALSE(second.scheme->applies_to(request));
}

TEST_F(SampleRequestTest, SignsWithTheFirstSecret) {
  signature::SchemeDescription both = listed("new secret");
  both.secrets.push_back("old secret");
  add("/hook", {use(both)});
  http::Request request = received(make());
  EXPECT_EQ(verdict(use(listed("new secret")), request), Verdict::kAccepted);
  EXPECT_EQ(verdict(use(listed("old secret")), request), Verdict::kWrong);
}

TEST_F(SampleRequestTest, SendsNoSecret) {
  add("/hook", {use(listed("very secret"))});
  SampleRequest made = make();
  for (const auto& [name, value] : made.headers) EXPECT_THAT(value, ::testing::Not(HasSubstr("very secret"))) << name;
}

}  // namespace
}  // namespace postern::cli
