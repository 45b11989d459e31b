// Published vectors: what the senders' own documents say is right must be right here. The source is named at each.
#include <gtest/gtest.h>

#include "core/base/encoding.h"
#include "core/signature/mac.h"
#include "tests/unit/signature/scheme_support.h"

namespace postern::signature {
namespace {

using testing::request;
using testing::scheme;

std::string hex_mac(Algorithm algorithm, std::string_view key, std::string_view data) {
  const std::span<const unsigned char> bytes(reinterpret_cast<const unsigned char*>(key.data()), key.size());
  const auto mac = KeyedMac::create(algorithm, bytes);
  Mac out;
  const std::string_view pieces[] = {data.substr(0, 5), "", data.substr(5)};
  if (!mac) return "failed";
  mac->compute(pieces, out);
  return encode_hex(std::span(out).first(mac_size(algorithm)));
}

// RFC 4231 §4.3 and RFC 2202 §3, test case 2.
TEST(SignatureVectors, HmacKnownAnswers) {
  constexpr std::string_view kKey = "Jefe", kData = "what do ya want for nothing?";
  EXPECT_EQ(hex_mac(Algorithm::kHmacSha1, kKey, kData), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
  EXPECT_EQ(hex_mac(Algorithm::kHmacSha256, kKey, kData),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(hex_mac(Algorithm::kHmacSha512, kKey, kData),
            "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fd"
            "caeab1a34d4a6b4b636e070a38bce737");
}

// RFC 4231 §4.7: a key longer than a block.
TEST(SignatureVectors, HmacLongKey) {
  EXPECT_EQ(hex_mac(Algorithm::kHmacSha256, std::string(131, '\xaa'),
                    "Test Using Larger Than Block-Size Key - Hash Key First"),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

// Standard Webhooks 1.0.0, reference libraries.
TEST(SignatureVectors, StandardWebhooks) {
  SchemeDescription d;
  d.name = "standard";
  d.header = "webhook-signature";
  d.format = "v1,{signature}";
  d.separator = " ";
  d.timestamp_header = "webhook-timestamp";
  d.id_header = "webhook-id";
  d.signed_bytes = "{id}.{timestamp}.{body}";
  d.signature_encoding = Encoding::kBase64;
  d.secret_encoding = SecretEncoding::kWhsec;
  for (const char* secret : {"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}) {
    d.secrets = {secret};
    const DescribedScheme s = scheme(d);
    const int64_t now = 1614265330'000;
    const auto signed_headers = s.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", R"({"test": 2432232314})", now);
    const testing::Headers expected = {{"webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"},
                                       {"webhook-timestamp", "1614265330"},
                                       {"webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="}};
    EXPECT_EQ(signed_headers, expected);
    EXPECT_EQ(s.verify(request(expected, R"({"test": 2432232314})"), now), Verdict::kAccepted);
    EXPECT_EQ(s.verify(request(expected, R"({"test":2432232314})"), now), Verdict::kWrong);
    testing::Headers rotated = expected;
    rotated[2].second = "v1a,aaaa v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= " + rotated[2].second + " v2,x";
    EXPECT_EQ(s.verify(request(rotated, R"({"test": 2432232314})"), now), Verdict::kAccepted);
  }
}

// GitHub docs, "Validating webhook deliveries".
TEST(SignatureVectors, GitHub) {
  SchemeDescription d;
  d.name = "github";
  d.header = "X-Hub-Signature-256";
  d.format = "sha256={signature}";
  d.secrets = {"It's a Secret to Everybody"};
  const DescribedScheme s = scheme(d);
  const std::string value = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
  EXPECT_EQ(s.verify(request({{"x-hub-signature-256", value}}, "Hello, World!"), 0), Verdict::kAccepted);
  EXPECT_EQ(s.verify(request({{"x-hub-signature-256", value}}, "Hello, World"), 0), Verdict::kWrong);
  EXPECT_EQ(s.sign("", "Hello, World!", 0), (testing::Headers{{"X-Hub-Signature-256", value}}));
}

// Slack docs, "Verifying requests from Slack".
TEST(SignatureVectors, Slack) {
  SchemeDescription d;
  d.name = "slack";
  d.header = "X-Slack-Signature";
  d.format = "v0={signature}";
  d.timestamp_header = "X-Slack-Request-Timestamp";
  d.signed_bytes = "v0:{timestamp}:{body}";
  d.secrets = {"8f742231b10e8888abcd99yyyzzz85a5"};
  const DescribedScheme s = scheme(d);
  const std::string body =
      "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name="
      "foobar"
      "&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
      "&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
      "&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
  const testing::Headers headers = {
      {"X-Slack-Request-Timestamp", "1531420618"},
      {"X-Slack-Signature", "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"}};
  EXPECT_EQ(s.verify(request(headers, body), 1531420618'000), Verdict::kAccepted);
  EXPECT_EQ(s.sign("", body, 1531420618'999), headers);
  EXPECT_EQ(s.verify(request(headers, body), 1531420618'000 + 300'001), Verdict::kStale);
}

// Stripe docs, "Webhook signatures": the whole whsec_ text is the key; v0 is a decoy. The MAC is computed apart from
// the scheme.
TEST(SignatureVectors, Stripe) {
  SchemeDescription d;
  d.name = "stripe";
  d.header = "Stripe-Signature";
  d.format = "t={timestamp}|v1={signature}";
  d.separator = ",";
  d.signed_bytes = "{timestamp}.{body}";
  d.secrets = {"whsec_test_secret"};
  const DescribedScheme s = scheme(d);
  const std::string body = R"({"id":"evt_test_webhook","object":"event"})";
  const std::string good = hex_mac(Algorithm::kHmacSha256, "whsec_test_secret", "1492774577." + body);
  const std::string other(64, '0');
  const int64_t now = 1492774577'000;
  const auto verdict = [&](const std::string& value) {
    return s.verify(request({{"Stripe-Signature", value}}, body), now);
  };
  EXPECT_EQ(verdict("t=1492774577,v1=" + good + ",v0=" + other), Verdict::kAccepted);
  EXPECT_EQ(verdict("t=1492774577,v1=" + other + ",v1=" + good), Verdict::kAccepted);
  EXPECT_EQ(verdict("t=1492774577,v0=" + good), Verdict::kMalformed);
  EXPECT_EQ(verdict("v1=" + good), Verdict::kMalformed);
  EXPECT_EQ(verdict("t=1492774577,t=1492774577,v1=" + good), Verdict::kMalformed);
  EXPECT_EQ(s.sign("", body, now), (testing::Headers{{"Stripe-Signature", "t=1492774577,v1=" + good}}));
}

// Shopify docs, "Verify webhooks": base64 over the body. Linear docs: bare hex over the body.
TEST(SignatureVectors, BareSignatures) {
  const std::string body = R"({"action":"create"})";
  SchemeDescription d;
  d.name = "bare";
  d.header = "Linear-Signature";
  d.secrets = {"hush"};
  const std::string hex = hex_mac(Algorithm::kHmacSha256, "hush", body);
  EXPECT_EQ(scheme(d).verify(request({{"Linear-Signature", hex}}, body), 0), Verdict::kAccepted);
  EXPECT_EQ(scheme(d).verify(request({{"Linear-Signature", "sha256=" + hex}}, body), 0), Verdict::kMalformed);

  d.header = "X-Shopify-Hmac-SHA256";
  d.signature_encoding = Encoding::kBase64;
  Mac mac;
  ASSERT_TRUE(decode_hex(hex, std::span(mac).first(32)));
  const std::string base64 = encode_base64(std::span(mac).first(32));
  EXPECT_EQ(scheme(d).verify(request({{"X-Shopify-Hmac-Sha256", base64}}, body), 0), Verdict::kAccepted);
}

// A legacy format of one header with four fields, its timestamp in milliseconds and its key in base64 (computed with
// Python's hmac).
TEST(SignatureVectors, FourFields) {
  const std::string body = R"({"id":"EVexample1","object":"event","apiVersion":"v3","type":"message.received",)"
                           R"("data":{"object":{"id":"ACexample1","body":"STOP"}}})";
  SchemeDescription d;
  d.name = "fields";
  d.header = "x-fields-signature";
  d.format = "hmac;1;{timestamp};{signature}";
  d.separator = ",";
  d.signed_bytes = "{timestamp}.{body}";
  d.signature_encoding = Encoding::kBase64;
  d.secret_encoding = SecretEncoding::kBase64;
  d.timestamp_unit = TimeUnit::kMilliseconds;
  d.secrets = {"R2ZLM2o0bFhBNVpyUnU2NG9mYXQ1MHNyR3pvSUhIVVg="};
  const DescribedScheme s = scheme(d);
  const std::string value = "hmac;1;1750861210000;ncmEGDiKPX5t2gfdcPdpmSKNFK6T3SwFWyBPR5ZXZHU=";
  const auto verdict = [&](const std::string& v) { return s.verify(request({{d.header, v}}, body), 1750861210000); };
  EXPECT_EQ(verdict(value), Verdict::kAccepted);
  EXPECT_EQ(verdict("hmac;2;1750861210000;x, " + value), Verdict::kAccepted);
  EXPECT_EQ(verdict("hmac;2" + value.substr(6)), Verdict::kMalformed);
  EXPECT_EQ(s.sign("", body, 1750861210000), (testing::Headers{{d.header, value}}));

  SchemeDescription bare;
  bare.name = "bare";
  bare.header = "X-Own-Signature";
  bare.timestamp_header = "X-Own-Timestamp";
  bare.signed_bytes = "{timestamp}.{body}";
  bare.secrets = {"own-secret"};
  const testing::Headers headers = {
      {"X-Own-Timestamp", "1750861210"},
      {"X-Own-Signature", "fd982a9f25b9a3b14be0e6b8e8621a5369e82413eecbc1f47c0c93dac782b4e8"}};
  EXPECT_EQ(scheme(bare).verify(request(headers, body), 1750861210'000), Verdict::kAccepted);
}

}  // namespace
}  // namespace postern::signature
