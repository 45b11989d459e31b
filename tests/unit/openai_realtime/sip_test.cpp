// The webhook of calls by SIP, and whether they are accepted.
#include "core/signature/described_scheme.h"
#include "postern/ext/client.h"
#include "postern/ext/routes.h"
#include "postern/ext/schemes.h"
#include "sip_host.h"

namespace voice_test {
namespace {

using postern::signature::DescribedScheme;
using postern::signature::SchemeDescription;
using postern::signature::Verdict;
using postern::testing::SchemeDeclaration;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

// ---- the webhook

DescribedScheme compile(const SchemeDeclaration& declared, std::vector<std::string> secrets) {
  EXPECT_EQ(declared.algorithm, uint32_t{POSTERN_HMAC_SHA256});
  EXPECT_EQ(declared.signature_encoding, uint32_t{POSTERN_ENCODING_BASE64});
  EXPECT_EQ(declared.secret_encoding, uint32_t{POSTERN_SECRET_WHSEC});
  SchemeDescription d;
  d.name = declared.name;
  d.header = declared.header;
  d.format = declared.format;
  d.separator = declared.separator;
  d.timestamp_header = declared.timestamp_header;
  d.id_header = declared.id_header;
  d.signed_bytes = declared.signed_bytes;
  d.signature_encoding = postern::signature::Encoding::kBase64;
  d.secret_encoding = postern::signature::SecretEncoding::kWhsec;
  d.tolerance_s = declared.tolerance_s;
  d.secrets = std::move(secrets);
  auto scheme = DescribedScheme::compile(std::move(d));
  if (!scheme) throw std::runtime_error(scheme.status().message());
  return std::move(*scheme);
}

Verdict verify(const DescribedScheme& scheme, const std::string& signature, const std::string& body, int64_t now_s) {
  const std::string lines = "Host: gateway\r\nContent-Type: application/json\r\nwebhook-id: wh_685c059ae39c8190af8c71ed1022a24d\r\n"
                            "webhook-timestamp: 1750861210\r\nwebhook-signature: " + signature + "\r\n";
  return scheme.verify(postern::http::Request::from_parts("POST", "/api/v1/webhooks/openai", lines, body), now_s * 1'000);
}

TEST_F(Sip, TheWebhookIsVerifiedAsOpenAiSignsIt) {
  start(sip_config());
  ASSERT_THAT(host_->schemes(), SizeIs(1));
  const DescribedScheme scheme = compile(host_->schemes()[0], host_->schemes()[0].secrets);
  const std::string body =
      R"({"id": "evt_685c059ae3a481909bdc86819b066fb6", "object": "event", "created_at": 1750861210, "type": "response.completed", "data": {"id": "resp_123"}})";
  const std::string good = "v1,gUAg4R2hWouRZqRQG4uJypNS8YK885G838+EHb4nKBY=";
  EXPECT_EQ(verify(scheme, good, body, 1750861210), Verdict::kAccepted);
  EXPECT_EQ(verify(scheme, "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= " + good, body, 1750861210 + 300), Verdict::kAccepted);
  EXPECT_EQ(verify(scheme, good, body + " ", 1750861210), Verdict::kWrong);
  EXPECT_EQ(verify(scheme, good, body, 1750861210 + 301), Verdict::kStale);
  EXPECT_NE(verify(scheme, good.substr(3), body, 1750861210), Verdict::kAccepted) << "without v1,";
}

TEST_F(Sip, ASecretWithoutThePrefixIsItsBytes) {
  json config = sip_config();
  config["sip"]["webhook_secrets"] = {"a secret, no base64"};
  start(config);
  const DescribedScheme scheme = compile(host_->schemes()[0], host_->schemes()[0].secrets);
  SchemeDescription raw = scheme.description();
  raw.secret_encoding = postern::signature::SecretEncoding::kRaw;
  raw.secrets = {"a secret, no base64"};
  auto same = DescribedScheme::compile(std::move(raw));
  ASSERT_TRUE(static_cast<bool>(same));
  EXPECT_EQ(scheme.sign("wh_1", "{}", 1'750'861'210'000), same->sign("wh_1", "{}", 1'750'861'210'000));
}

TEST_F(Sip, TheRouteAndItsSample) {
  start(sip_config());
  ASSERT_THAT(host_->routes(), SizeIs(1));
  const auto& route = host_->routes()[0];
  EXPECT_EQ(route.kind, uint32_t{POSTERN_ROUTE_EVENT});
  EXPECT_EQ(route.path, "/api/v1/webhooks/openai");
  EXPECT_THAT(route.schemes, ::testing::ElementsAre(std::pair<std::string, std::string>("standard", "header:webhook-id")));
  EXPECT_EQ(route.type_from, "json:/type");
  EXPECT_EQ(route.order_key_from, "json:/data/call_id");
  ASSERT_THAT(host_->samples(), SizeIs(1));
  EXPECT_EQ(host_->samples()[0].name, "realtime-call-incoming");
  std::string body = host_->samples()[0].body;
  for (size_t at = body.find("{{unix}}"); at != body.npos; at = body.find("{{unix}}")) body.replace(at, 8, std::to_string(incoming()["created_at"].get<int64_t>()));
  for (size_t at = body.find("{{id}}"); at != body.npos; at = body.find("{{id}}")) body.replace(at, 6, "0a1b2c");
  host_->answer("sip", {.status = 200});
  EXPECT_TRUE(host_->deliver({.type = "realtime.call.incoming", .body = body}).done()) << "the handler takes it";
  EXPECT_THAT(last_asked(), HasSubstr("/realtime/calls/rtc_0a1b2c/accept"));
}

TEST_F(Sip, WithoutItThereIsNone) {
  json config = base_config();
  start(config);
  for (const auto& route : host_->routes()) EXPECT_NE(route.path, "/api/v1/webhooks/openai");
  EXPECT_FALSE(deliver().handled);
  EXPECT_FALSE(host_->call_service("postern.voice/1", "hangup", json({{"call_id", kRtc}}).dump()).ok());
}

TEST_F(Sip, FaultsOfTheConfiguration) {
  auto fault = [](const json& sip, const json& more = json::object()) {
    json config = sip_config();
    config["sip"] = sip;
    config.update(more);
    FakeHost host(entry(), {.name = "openai_realtime"});
    auto started = host.start(config.dump());
    EXPECT_FALSE(started.ok());
    std::string all;
    for (const auto& one : started.faults) all += one.pointer + " " + one.text + "\n";
    for (const auto& one : started.refusals) all += one + "\n";
    EXPECT_THAT(all, Not(HasSubstr("hunter2")));
    return all;
  };
  const json secrets = {"whsec_aHVudGVyMg=="};
  EXPECT_THAT(fault(json::object()), HasSubstr("/sip needs webhook_secrets"));
  EXPECT_THAT(fault({{"webhook_secrets", json::array()}}), HasSubstr("/sip/webhook_secrets "));
  EXPECT_THAT(fault({{"webhook_secrets", secrets}, {"reject_status", 200}}), HasSubstr("/sip/reject_status "));
  EXPECT_THAT(fault({{"webhook_secrets", secrets}, {"reject_status", 486.5}}), HasSubstr("/sip/reject_status "));
  EXPECT_THAT(fault({{"webhook_secrets", secrets}, {"api_url", "http://api.example.com/v1"}}), HasSubstr("/sip/api_url "));
  EXPECT_THAT(fault({{"webhook_secrets", secrets}, {"transfer_to", {{"a", "mailto:x@example.com"}}}}), HasSubstr("/sip/transfer_to "));
  EXPECT_THAT(fault({{"webhook_secrets", secrets}, {"transfer_to", {{"a", "sip:x@example.com>\r\nX: y"}}}}), HasSubstr("/sip/transfer_to "));
  EXPECT_THAT(fault({{"webhook_secrets", secrets}, {"transfer_to", {{"a b", "tel:+14155550111"}}}}), HasSubstr("/sip/transfer_to "));
  EXPECT_THAT(fault({{"webhook_secrets", secrets}, {"transfer_to", {{"a", "tel:+14155550111"}}}}, {{"tools", {{{"name", "transfer_call"}, {"url", "https://h/"}}}}}),
              HasSubstr("/tools/0/name another tool has this name"));
}

// ---- accepted or not

TEST_F(Sip, AcceptsWithTheSessionAndControlsIt) {
  begin();
  ASSERT_THAT(host_->outbound(), SizeIs(1));
  const auto request = host_->outbound()[0];
  EXPECT_EQ(request.method + " " + request.url + " ", path("accept"));
  EXPECT_THAT(request.headers, ::testing::Contains(std::pair<std::string, std::string>("Authorization", std::string("Bearer ") + kKey)));
  const json session = json::parse(request.body);
  EXPECT_EQ(session["type"], "realtime");
  EXPECT_EQ(session["model"], "gpt-realtime");
  EXPECT_EQ(session["instructions"], "Be brief.");
  EXPECT_EQ(session["audio"]["output"], (json{{"voice", "marin"}})) << "no format: SIP negotiates it";
  EXPECT_EQ(session["tools"].size(), 1u);
  EXPECT_EQ(session["tools"][0]["name"], "end_call");
  EXPECT_EQ(this->session(1).url, std::string("wss://api.openai.com/v1/realtime?call_id=") + kRtc);
  EXPECT_THAT(this->session(1).headers, ::testing::Contains(std::pair<std::string, std::string>("Authorization", std::string("Bearer ") + kKey)));
  ASSERT_THAT(hears_first_, SizeIs(1));
  EXPECT_EQ(hears_first_[0], (json{{"type", "response.create"}, {"response", {{"instructions", "Say hello."}}}}));
  EXPECT_EQ(host_->metric("sip_calls_total", {"accepted"}).value, 1);
}

TEST_F(Sip, RejectsWhereItIsToldTo) {
  json config = sip_config();
  config["sip"]["accept"] = false;
  config["sip"]["reject_status"] = 603;
  start(config);
  host_->answer("sip", {.status = 200});
  EXPECT_TRUE(deliver().done());
  EXPECT_EQ(last_asked(), path("reject") + R"({"status_code":603})");
  EXPECT_THAT(host_->sessions(), IsEmpty());
  EXPECT_EQ(host_->metric("sip_calls_total", {"rejected"}).value, 1);
}

TEST_F(Sip, DoesNotAskAboutAnIdThatIsNone) {
  start(sip_config());
  for (const std::string& id : {std::string(), std::string("rtc_"), std::string("call_1"), std::string("rtc_../../../x"), std::string("rtc_a b"), "rtc_" + std::string(300, 'a')}) {
    EXPECT_EQ(deliver(incoming(id)).outcome, POSTERN_DEAD) << id;
  }
  EXPECT_EQ(deliver(json{{"data", 1}}).outcome, POSTERN_DEAD);
  EXPECT_EQ(host_->deliver({.type = "realtime.call.incoming", .body = "[["}).outcome, POSTERN_DEAD);
  EXPECT_THAT(host_->outbound(), IsEmpty());
}

TEST_F(Sip, ACallerWhoHasGoneIsNotCalledBack) {
  start(sip_config());
  const Settled settled = deliver(incoming(kRtc, 62));
  EXPECT_EQ(settled.outcome, POSTERN_DEAD);
  EXPECT_THAT(settled.why, HasSubstr("the caller has gone"));
  EXPECT_THAT(host_->outbound(), IsEmpty());
  host_->answer("sip", {.status = 200});
  EXPECT_TRUE(deliver(incoming(kRtc, 55)).done());
}

TEST_F(Sip, TriesAgainSoonWhenOpenAiDoesNotAnswer) {
  start(sip_config());
  host_->answer("sip", {.status = 503});
  const Settled first = deliver();
  EXPECT_EQ(first.outcome, POSTERN_RETRY);
  ASSERT_TRUE(first.retry_after_ms.has_value());
  EXPECT_EQ(*first.retry_after_ms, 2'000u) << "not as late as the policy says";
  EXPECT_THAT(host_->sessions(), IsEmpty());
  host_->answer("sip", {.status = 200});
  EXPECT_TRUE(host_->redeliver(first.delivery).done()) << "the call was not left among the active ones";
  EXPECT_THAT(host_->sessions(), SizeIs(1));
}

TEST_F(Sip, ARefusalAtFirstIsFinal) {
  start(sip_config());
  for (uint32_t status : {400u, 401u, 404u}) {
    host_->answer("sip", {.status = status, .body = "inner detail"});
    const Settled settled = deliver();
    EXPECT_EQ(settled.outcome, POSTERN_DEAD) << status;
    EXPECT_THAT(settled.why, Not(HasSubstr(kKey)));
  }
  EXPECT_THAT(host_->sessions(), IsEmpty());
  EXPECT_EQ(host_->metric("sip_calls_total", {"failed"}).value, 3);
}

TEST_F(Sip, ARefusalLaterMayMeanThatItIsAccepted) {
  start(sip_config());
  host_->answer("sip", {.status = 0, .kind = POSTERN_RESPONSE_TIMEOUT});
  const Settled first = deliver();
  EXPECT_EQ(first.outcome, POSTERN_RETRY);
  host_->answer("sip", {.status = 409});
  EXPECT_TRUE(host_->redeliver(first.delivery).done());
  ASSERT_THAT(host_->sessions(), SizeIs(1));
  host_->end(1, {.code = 1006, .by_peer = false, .http_status = 404});
  EXPECT_THAT(host_->sessions(), SizeIs(1)) << "there is no such call: not tried again";
  EXPECT_EQ(completed()["ended_by"], "caller");
}

TEST_F(Sip, ARefusedKeyIsNeverTakenForAccepted) {
  start(sip_config());
  host_->answer("sip", {.status = 503});
  const Settled first = deliver();
  host_->answer("sip", {.status = 401});
  EXPECT_EQ(host_->redeliver(first.delivery).outcome, POSTERN_DEAD);
  EXPECT_THAT(host_->sessions(), IsEmpty());
}

TEST_F(Sip, ACallIsControlledOnce) {
  begin();
  EXPECT_TRUE(deliver().done());
  EXPECT_THAT(host_->outbound(), SizeIs(1));
  EXPECT_THAT(host_->sessions(), SizeIs(1));
}

}  // namespace
}  // namespace voice_test
