// Twilio's voice webhooks on the wire: the TwiML that answers a call, the events that are kept, the records of calls.
#include <Poco/AutoPtr.h>
#include <Poco/DOM/DOMParser.h>
#include <Poco/DOM/Document.h>
#include <Poco/DOM/Element.h>
#include <Poco/DOM/NodeList.h>

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/integration/twilio_gateway.h"
#include "tests/support/write_lock.h"

namespace postern::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr milliseconds kSoon{20000};

// What Twilio would read in an answer.
struct Twiml {
  std::string say;  // what is said before the stream; empty: nothing
  std::string url;
  std::map<std::string, std::string> parameters;
};

// Throws Poco::Exception when it is not well-formed.
std::optional<Twiml> twiml_of(const Response& response) {
  EXPECT_EQ(response.status, 200) << response.body;
  EXPECT_THAT(response.header("Content-Type").value_or(""), StartsWith("text/xml"));
  if (response.status != 200) return std::nullopt;
  Poco::XML::DOMParser parser;
  Poco::AutoPtr<Poco::XML::Document> document = parser.parseString(response.body);
  Poco::XML::Element* root = document->documentElement();
  EXPECT_EQ(root->tagName(), "Response");
  Twiml twiml;
  if (auto* say = root->getChildElement("Say")) twiml.say = say->innerText();
  auto* connect = root->getChildElement("Connect");
  auto* stream = connect == nullptr ? nullptr : connect->getChildElement("Stream");
  if (stream == nullptr) {
    ADD_FAILURE() << "no <Connect><Stream>: " << response.body;
    return std::nullopt;
  }
  twiml.url = stream->getAttribute("url");
  Poco::AutoPtr<Poco::XML::NodeList> list = stream->getElementsByTagName("Parameter");
  for (unsigned long i = 0; i < list->length(); ++i) {
    auto* parameter = static_cast<Poco::XML::Element*>(list->item(i));
    twiml.parameters[parameter->getAttribute("name")] = parameter->getAttribute("value");
  }
  return twiml;
}

TEST_F(TwilioTest, ACallIsConnectedToTheStream) {
  const std::string sid = new_call_sid();
  const auto twiml = twiml_of(call(gateway(), kIncomingCall, call_form(sid)));
  ASSERT_TRUE(twiml);
  EXPECT_EQ(twiml->say, "");
  EXPECT_EQ(twiml->url, "wss://hooks.postern.test/api/v1/voice/media-stream");
  EXPECT_EQ(twiml->parameters,
            (std::map<std::string, std::string>{{"From", "+14155550123"}, {"To", "+14155550100"}, {"CallSid", sid}}));
}

struct PublicUrl {
  std::string written;  // as in gateway.yaml
  std::string signed_for;
  std::string stream;
};
void PrintTo(const PublicUrl& url, std::ostream* out) { *out << url.written; }
class TwilioUrlTest : public ::testing::TestWithParam<PublicUrl> {};

TEST_P(TwilioUrlTest, TheStreamIsWhereTheGatewayIs) {
  Gateway gateway(
      {.public_url = GetParam().written,
       .plugins = twilio_entry("auth_tokens: [" + std::string(kToken) + "], greeting: \"One <moment> & so on\"")});
  const auto twiml = twiml_of(call(gateway, kIncomingCall, call_form(new_call_sid()), GetParam().signed_for));
  ASSERT_TRUE(twiml) << gateway.log();
  EXPECT_EQ(twiml->say, "One <moment> & so on");
  EXPECT_EQ(twiml->url, GetParam().stream + "/api/v1/voice/media-stream");
}

INSTANTIATE_TEST_SUITE_P(
    HoweverWritten, TwilioUrlTest,
    ::testing::Values(PublicUrl{"https://hooks.postern.test", "https://hooks.postern.test", "wss://hooks.postern.test"},
                      PublicUrl{"https://hooks.postern.test///", "https://hooks.postern.test",
                                "wss://hooks.postern.test"},
                      PublicUrl{"http://hooks.postern.test/", "http://hooks.postern.test", "wss://hooks.postern.test"},
                      PublicUrl{"wss://hooks.postern.test/", "https://hooks.postern.test", "wss://hooks.postern.test"},
                      PublicUrl{"HTTPS://hooks.postern.test:8443/a/b/", "https://hooks.postern.test:8443/a/b",
                                "wss://hooks.postern.test:8443/a/b"}));

TEST_F(TwilioTest, TheCallIsAnEventOnce) {
  const std::string sid = new_call_sid();
  for (int i = 0; i < 3; ++i) {
    const auto twiml = twiml_of(call(gateway(), kIncomingCall, call_form(sid)));
    ASSERT_TRUE(twiml);
    EXPECT_EQ(twiml->parameters.at("CallSid"), sid) << "each time";
    EXPECT_EQ(events_with(sid), 1);
  }
  const auto rows =
      gateway().store().rows("SELECT type, provider, order_key, target, body FROM event WHERE external_id = ?", {sid});
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0],
            (StoreReader::Row{"twilio.call.incoming", "twilio", sid, kIncomingCall, form_body(call_form(sid))}));
}

// The order itself, not who wins a race: while nobody can write to the store, there is no answer.
TEST_F(TwilioTest, TheEventIsDurableBeforeTheAnswer) {
  const std::string sid = new_call_sid();
  const Form form = call_form(sid);
  Headers headers = sign_twilio(kToken, std::string(kPublicUrl) + kIncomingCall, form);
  headers.emplace_back("Content-Type", kFormType);
  WireClient client = gateway().connect();
  {
    const WriteLock lock(gateway().store_path());
    client.send(request_text("POST", kIncomingCall, headers, form_body(form)));
    EXPECT_FALSE(client.read_response(milliseconds(400))) << "answered before it was stored";
    EXPECT_EQ(events_with(sid), 0);
  }
  const auto response = client.read_response();
  ASSERT_TRUE(response);
  EXPECT_TRUE(twiml_of(*response));
  EXPECT_EQ(events_with(sid), 1);
}

TEST_F(TwilioTest, StatesAreEventsOfTheirOwn) {
  const std::string sid = new_call_sid();
  const Response first = call(gateway(), kCallStatus, status_form(sid, "ringing", "1"));
  EXPECT_EQ(status_of(first), "queued");
  const Response again = call(gateway(), kCallStatus, status_form(sid, "ringing", "1", {{"Timestamp", "later"}}));
  EXPECT_EQ(status_of(again), "duplicate_ignored");
  EXPECT_EQ(event_id_of(again), event_id_of(first));
  const Response other = call(gateway(), kCallStatus, status_form(sid, "ringing", "2"));
  EXPECT_EQ(status_of(other), "queued");
  EXPECT_NE(event_id_of(other), event_id_of(first));
  EXPECT_EQ(status_of(call(gateway(), kCallStatus, status_form(sid, "completed", "2"))), "queued");
  EXPECT_EQ(
      gateway().store().number("SELECT count(*) FROM event WHERE type = 'twilio.call.status' AND order_key = ?", {sid}),
      3);
}

// "CA1" + "2" and "CA12" + "" would be one and the same without a divider.
TEST_F(TwilioTest, PartsOfAnIdDoNotRunTogether) {
  const std::string sid = new_call_sid();
  EXPECT_EQ(status_of(call(gateway(), kCallStatus, status_form(sid, "ringing", "12"))), "queued");
  EXPECT_EQ(status_of(call(gateway(), kCallStatus, status_form(sid, "ringing1", "2"))), "queued");
  EXPECT_EQ(status_of(call(gateway(), kCallStatus, status_form(sid, "ringing:12", ""))), "queued");
  const Form without = {{"CallSid", sid}, {"CallStatus", "ringing"}};
  EXPECT_EQ(status_of(call(gateway(), kCallStatus, without)), "queued");
}

nlohmann::json record_of(const StoreReader& store, const std::string& sid) {
  const auto rows =
      store.rows("SELECT value FROM record WHERE plugin = 'twilio' AND collection = 'calls' AND key = ?", {sid});
  return rows.empty() ? nlohmann::json() : nlohmann::json::parse(rows[0][0]);
}

// Twilio promises no order of arrival: the end of a call stays its end.
TEST_F(TwilioTest, RecordsOfCallsWhateverTheOrder) {
  const std::string sid = new_call_sid();
  EXPECT_TRUE(twiml_of(call(gateway(), kIncomingCall, call_form(sid))));
  const std::vector<Form> states = {status_form(sid, "completed", "3", {{"CallDuration", "34"}}),
                                    status_form(sid, "ringing", "1"), status_form(sid, "in-progress", "2"),
                                    status_form(sid, "initiated", "0")};
  for (const Form& form : states) EXPECT_EQ(status_of(call(gateway(), kCallStatus, form)), "queued");
  const StoreReader store = gateway().store();
  ASSERT_TRUE(eventually(kSoon, [&] { return store.unsettled() == 0; })) << gateway().log();
  EXPECT_EQ(store.deliveries("dead"), 0);
  const auto record = record_of(store, sid);
  EXPECT_EQ(record.value("status", ""), "completed") << record;
  EXPECT_EQ(record.value("sequence_number", -1), 3) << record;
  EXPECT_EQ(record.value("duration_s", -1), 34) << record;
  EXPECT_EQ(record.value("from", ""), "+14155550123") << record;
  EXPECT_EQ(record.value("direction", ""), "incoming") << record;
  EXPECT_TRUE(record.contains("answered_at") && record.contains("completed_at")) << record;
  EXPECT_EQ(store.number("SELECT count(*) FROM event WHERE type = 'twilio.call.ended' AND order_key = ?", {sid}), 1)
      << "a call ends once";
}

// ---- which requests are Twilio's

TEST_F(TwilioTest, RepeatedNamesAreSignedAsTwilioDoes) {
  const Form form =
      call_form(new_call_sid(), {{"Digits", "5678"}, {"Digits", "1234"}, {"Digits", "1234"}, {"From", "+1"}});
  const auto twiml = twiml_of(call(gateway(), kIncomingCall, form));
  ASSERT_TRUE(twiml);
  EXPECT_EQ(twiml->parameters.at("From"), "+14155550123") << "the first of two";
}

TEST_F(TwilioTest, TheQueryIsSignedAsItWasSent) {
  const std::string sid = new_call_sid();
  EXPECT_TRUE(twiml_of(call(gateway(), std::string(kIncomingCall) + "?b=%7e+x&a=%20&&", call_form(sid))));
  EXPECT_EQ(events_with(sid), 1);
}

TEST_F(TwilioTest, EncodingsOfTheBodyDoNotMatter) {
  const std::string sid = new_call_sid();
  const Form form = {{"CallSid", sid}, {"From", "+1 (415)"}, {"Empty", ""}, {"No", ""}, {"", "x"}};
  const Headers headers = sign_twilio(kToken, std::string(kPublicUrl) + kIncomingCall, form);
  const std::string body = "&&%43allSid=" + sid + "&From=%2b1%20(415)&Empty=&No&=x&";
  const auto twiml = twiml_of(post_form(gateway(), kIncomingCall, body, headers));
  ASSERT_TRUE(twiml);
  EXPECT_EQ(twiml->parameters.at("From"), "+1 (415)");
}

TEST_F(TwilioTest, EveryPortOfTheSameAddress) {
  for (const std::string base : {"https://hooks.postern.test", "https://hooks.postern.test:443"}) {
    EXPECT_TRUE(twiml_of(call(gateway(), kIncomingCall, call_form(new_call_sid()), base))) << base;
  }
  EXPECT_EQ(call(gateway(), kIncomingCall, call_form(new_call_sid()), "https://hooks.postern.test:8443").status, 401);
  EXPECT_EQ(call(gateway(), kIncomingCall, call_form(new_call_sid()), "http://hooks.postern.test").status, 401);
}

TEST(TwilioTokensTest, OldAndNewWhileOneIsRotated) {
  Gateway gateway({.public_url = kPublicUrl, .plugins = twilio_entry("auth_tokens: [new-token, old-token]")});
  for (const std::string token : {"new-token", "old-token"}) {
    EXPECT_EQ(call(gateway, kIncomingCall, call_form(new_call_sid()), kPublicUrl, token).status, 200) << token;
  }
  for (const std::string token : {kToken, "new-toke", "", "new-token,old-token"}) {
    EXPECT_EQ(call(gateway, kIncomingCall, call_form(new_call_sid()), kPublicUrl, token).status, 401) << token;
  }
  EXPECT_EQ(gateway.store().events(), 2);
}

TEST(TwilioAccountTest, OnlyTheConfiguredOne) {
  const std::string ours = "AC00000000000000000000000000000001", theirs = "AC00000000000000000000000000000002";
  Gateway gateway(
      {.public_url = kPublicUrl, .plugins = twilio_entry("account_sid: " + ours + ", auth_tokens: [" + kToken + "]")});
  EXPECT_EQ(call(gateway, kIncomingCall, call_form(new_call_sid())).status, 200);
  Form other = call_form(new_call_sid());
  other[0].second = theirs;
  EXPECT_EQ(call(gateway, kIncomingCall, other).status, 401);
  EXPECT_EQ(call(gateway, kIncomingCall, {{"CallSid", new_call_sid()}}).status, 401) << "none";
  EXPECT_EQ(call(gateway, kIncomingCall, call_form(new_call_sid(), {{"AccountSid", theirs}})).status, 401) << "two";
  EXPECT_EQ(gateway.store().events(), 1);
}

// A request that was signed for somebody else's address must not be turned against us: only a proxy of ours says by
// which address it came.
TEST(TwilioProxyTest, OnlyATrustedProxySaysTheAddress) {
  const std::string base = "https://voice.example.test";
  const auto through_proxy = [&](const Gateway& gateway, const Headers& forwarded) {
    const Form form = call_form(new_call_sid());
    Headers headers = sign_twilio(kToken, base + kIncomingCall, form);
    headers.insert(headers.end(), forwarded.begin(), forwarded.end());
    return post_form(gateway, kIncomingCall, form_body(form), headers);
  };
  const Headers x_forwarded = {{"X-Forwarded-Host", "voice.example.test"}, {"X-Forwarded-Proto", "https"}};
  const Headers forwarded = {{"Forwarded", "for=192.0.2.1;host=voice.example.test;proto=https"}};

  Gateway trusting({.public_url = "none", .gateway = "  trusted_proxies: [127.0.0.1/32]\n", .plugins = twilio_entry()});
  EXPECT_EQ(through_proxy(trusting, x_forwarded).status, 200);
  EXPECT_EQ(through_proxy(trusting, forwarded).status, 200);
  EXPECT_EQ(
      through_proxy(trusting, {{"X-Forwarded-Host", "other.example.test"}, {"X-Forwarded-Proto", "https"}}).status,
      401);
  EXPECT_EQ(through_proxy(trusting, {{"X-Forwarded-Host", "voice.example.test"}, {"X-Forwarded-Proto", "http"}}).status,
            401);

  // What nginx passes on of a client's own headers says nothing where public_url says it all.
  Gateway settled({.public_url = kPublicUrl, .gateway = "  trusted_proxies: [127.0.0.1/32]\n", .plugins = twilio_entry()});
  EXPECT_EQ(through_proxy(settled, x_forwarded).status, 401);
  EXPECT_EQ(through_proxy(settled, forwarded).status, 401);
  EXPECT_EQ(call(settled, kIncomingCall, call_form(new_call_sid())).status, 200);

  Gateway wary({.public_url = kPublicUrl, .plugins = twilio_entry()});
  EXPECT_EQ(through_proxy(wary, x_forwarded).status, 401);
  EXPECT_EQ(through_proxy(wary, forwarded).status, 401);
  Gateway elsewhere(
      {.public_url = kPublicUrl, .gateway = "  trusted_proxies: [10.0.0.0/8]\n", .plugins = twilio_entry()});
  EXPECT_EQ(through_proxy(elsewhere, x_forwarded).status, 401);
  EXPECT_EQ(wary.store().events() + elsewhere.store().events(), 0);
  EXPECT_EQ(settled.store().events(), 1);
}

TEST_F(TwilioTest, SamplesAreAccepted) {
  for (const std::string sample : {"incoming-call", "call-status"}) {
    const Finished finished = gateway().command({"send", "twilio", sample, "--count", "3"});
    EXPECT_EQ(finished.exit.code, 0) << finished.out << finished.err;
    EXPECT_THAT(finished.out, HasSubstr("200"));
    const std::string type = sample == "incoming-call" ? "twilio.call.incoming" : "twilio.call.status";
    EXPECT_GE(gateway().store().number("SELECT count(*) FROM event WHERE type = ?", {type}), 3)
        << "each is one of its own";
  }
}

}  // namespace
}  // namespace postern::testing
