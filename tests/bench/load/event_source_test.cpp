// What the load generator sends is what the providers' documents say: checked from the request's bytes, with OpenSSL's
// one-shot HMAC, and against the vectors that the official libraries test themselves with.
#include "tests/bench/load/event_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <map>
#include <stdexcept>

#include "tests/bench/load/twilio_source.h"
#include "tests/support/signing.h"

namespace postern::load {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr int64_t kNowMs = 1'795'162'500'123;
constexpr EventId kEvent{0x0123456789abcdef, 0xfedcba9876543210};
constexpr EventId kOther{0xffffffffffffffff, 7};
const std::string kToken = "12345";

std::string hmac(const EVP_MD* digest, std::string_view key, std::string_view data) {
  uint8_t mac[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  HMAC(digest, key.data(), static_cast<int>(key.size()), reinterpret_cast<const uint8_t*>(data.data()), data.size(), mac,
       &size);
  return {reinterpret_cast<const char*>(mac), size};
}

struct Request {
  std::string target;
  std::map<std::string, std::string> headers;
  std::string body;
};

Request read(std::string_view bytes) {
  Request request;
  const size_t head_end = bytes.find("\r\n\r\n");
  request.body = bytes.substr(head_end + 4);
  request.target = bytes.substr(5, bytes.find(' ', 5) - 5);
  for (size_t at = bytes.find("\r\n"); at < head_end;) {
    const size_t end = bytes.find("\r\n", at + 2);
    const std::string_view line = bytes.substr(at + 2, end - at - 2);
    request.headers[std::string(line.substr(0, line.find(':')))] = line.substr(line.find(':') + 2);
    at = end;
  }
  EXPECT_EQ(request.headers["Content-Length"], std::to_string(request.body.size()));
  return request;
}

std::string decode(std::string_view text) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      decoded += static_cast<char>(std::stoi(std::string(text.substr(i + 1, 2)), nullptr, 16));
      i += 2;
    } else {
      decoded += text[i] == '+' ? ' ' : text[i];
    }
  }
  return decoded;
}

std::map<std::string, std::string> fields(std::string_view form) {
  std::map<std::string, std::string> fields;
  while (!form.empty()) {
    const std::string_view field = form.substr(0, form.find('&'));
    form.remove_prefix(std::min(form.size(), field.size() + 1));
    const auto [at, fresh] = fields.emplace(decode(field.substr(0, field.find('='))), decode(field.substr(field.find('=') + 1)));
    EXPECT_TRUE(fresh) << at->first << " is there twice";
  }
  return fields;
}

Options twilio(const std::string& path) {
  Options options;
  options.scheme = Scheme::kTwilio;
  options.secret = kToken;
  options.path = path;
  options.public_url = "https://hooks.example.org";
  return options;
}

std::string twilio_signature_of(const Request& request) {
  std::string text = "https://hooks.example.org" + request.target;
  for (const auto& [name, value] : fields(request.body)) text += name + value;
  return testing::base64(hmac(EVP_sha1(), kToken, text));
}

TEST(Hmac, AgreesWithOpenSsl) {
  for (const size_t size : {size_t{1}, size_t{20}, size_t{64}, size_t{65}, size_t{200}}) {
    const std::string key(size, 'k');
    const auto sha1 = HmacSha1(key).sign("what is ", "signed");
    const auto sha256 = HmacSha256(key).sign("what is ", "signed");
    EXPECT_EQ(std::string(sha1.begin(), sha1.end()), hmac(EVP_sha1(), key, "what is signed")) << size;
    EXPECT_EQ(std::string(sha256.begin(), sha256.end()), hmac(EVP_sha256(), key, "what is signed")) << size;
  }
}

// twilio-python tests/unit/test_request_validator.py, twilio-node spec/validation.spec.js
TEST(Twilio, PublicVector) {
  const std::string text = twilio_signed_text("https://mycompany.com/myapp.php?foo=1&bar=2", {{"To", "+18005551212"},
                                                                                              {"Digits", "1234"},
                                                                                              {"From", "+14158675309"},
                                                                                              {"Caller", "+14158675309"},
                                                                                              {"CallSid", "CA1234567890ABCDE"}});
  EXPECT_EQ(twilio_signature(HmacSha1(kToken), text), "RSOYDt4T1cUTdK1PDd93/VVr8B8=");
}

// A name goes before a longer one that it begins, whatever their values are (twilio-go).
TEST(Twilio, SortsNamesNotPairs) {
  EXPECT_EQ(twilio_signed_text("u", {{"ReasonConferenceEnded", "x"}, {"Reason", "zz"}}), "uReasonzzReasonConferenceEndedx");
}

TEST(Twilio, IncomingCall) {
  TwilioSource source(twilio("/api/v1/webhooks/incoming-call"));
  for (const EventId id : {kEvent, kOther, kEvent}) {
    const Request request = read(source.request(id, kNowMs));
    EXPECT_EQ(request.target, "/api/v1/webhooks/incoming-call");
    EXPECT_THAT(request.headers.at("Content-Type"), StartsWith("application/x-www-form-urlencoded"));
    EXPECT_EQ(request.headers.at("X-Twilio-Signature"), twilio_signature_of(request));
    EXPECT_EQ(request.body.size(), Options().body_size);
  }
  auto form = fields(read(source.last()).body);
  EXPECT_EQ(form["CallSid"], "CA0123456789abcdeffedcba9876543210");
  EXPECT_EQ(form["CallStatus"], "ringing");
  EXPECT_EQ(form["Direction"], "inbound");
  EXPECT_EQ(form["ApiVersion"], "2010-04-01");
  EXPECT_EQ(form["AccountSid"].size(), 34u);
  EXPECT_EQ(form["From"].size(), 12u);
  EXPECT_EQ(form["From"], form["Caller"]);
  EXPECT_EQ(form.count("SequenceNumber"), 0u);
}

TEST(Twilio, CallStatus) {
  TwilioSource source(twilio("/api/v1/webhooks/call-status"));
  const Request request = read(source.request(kOther, kNowMs));
  EXPECT_EQ(request.headers.at("X-Twilio-Signature"), twilio_signature_of(request));
  auto form = fields(request.body);
  EXPECT_EQ(form["CallSid"], "CAffffffffffffffff0000000000000007");
  EXPECT_EQ(form["CallStatus"], "completed");
  EXPECT_EQ(form["SequenceNumber"], "3");
}

TEST(Twilio, ConversationsShareACaller) {
  Options options = twilio("/api/v1/webhooks/incoming-call");
  options.conversations = 5;
  TwilioSource source(options);
  EXPECT_EQ(fields(read(source.request(kOther, kNowMs)).body)["From"], "+14000000002");
}

TEST(Twilio, BodySizes) {
  Options options = twilio("/api/v1/webhooks/call-status");
  options.body_size = 4096;
  const Request request = read(TwilioSource(options).request(kEvent, kNowMs));
  EXPECT_EQ(request.body.size(), 4096u);
  EXPECT_EQ(request.headers.at("X-Twilio-Signature"), twilio_signature_of(request));
  options.body_size = 100;
  EXPECT_THROW(TwilioSource{options}, std::invalid_argument);
}

TEST(Openphone, EachScheme) {
  Options options;
  options.path = "/api/v1/webhooks/openphone";
  options.secret = "whsec_" + testing::base64("0123456789abcdef0123456789abcdef");
  const std::string key = "0123456789abcdef0123456789abcdef";
  const std::string seconds = std::to_string(kNowMs / 1000);

  Request request = read(make_event_source(options)->request(kEvent, kNowMs));
  const std::string id = "EV0123456789abcdeffedcba9876543210";
  EXPECT_EQ(request.headers["webhook-id"], id);
  EXPECT_EQ(request.headers["webhook-timestamp"], seconds);
  EXPECT_EQ(request.headers["webhook-signature"],
            "v1," + testing::base64(hmac(EVP_sha256(), key, id + "." + seconds + "." + request.body)));
  EXPECT_THAT(request.body, StartsWith("{\"id\":\"" + id + "\""));
  EXPECT_THAT(request.body, HasSubstr("\"conversationId\":\"CN0123456789abcdeffedcba9876543210\""));

  options.scheme = Scheme::kLegacy;
  options.secret = testing::base64(key);
  request = read(make_event_source(options)->request(kEvent, kNowMs));
  const std::string ms = std::to_string(kNowMs);
  EXPECT_EQ(request.headers["openphone-signature"],
            "hmac;1;" + ms + ";" + testing::base64(hmac(EVP_sha256(), key, ms + "." + request.body)));

  options.scheme = Scheme::kOwn;
  options.secret = key;
  request = read(make_event_source(options)->request(kEvent, kNowMs));
  EXPECT_EQ(request.headers["X-OpenPhone-Timestamp"], seconds);
  EXPECT_EQ(request.headers["X-OpenPhone-Signature"],
            testing::hex(hmac(EVP_sha256(), key, seconds + "." + request.body)));
}

}  // namespace
}  // namespace postern::load
