// `postern verify`: what it says about a saved request, how it ends, and what it never says.
#include <fstream>
#include <string>
#include <vector>

#include "tests/integration/twilio_gateway.h"

namespace postern::testing {
namespace {

using ::testing::Contains;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr int kAccept = 0, kReject = 1, kWrongUsage = 2;
constexpr const char* kSavedAt = "1763610185";  // Unix seconds

// A vector that the official helper libraries are tested with; the token is 12345.
constexpr const char* kVectorToken = "12345";
constexpr const char* kVectorUrl = "https://mycompany.com";
constexpr const char* kVectorSignature = "RSOYDt4T1cUTdK1PDd93/VVr8B8=";
const Form kVectorForm = {{"CallSid", "CA1234567890ABCDE"},
                          {"Caller", "+14158675309"},
                          {"Digits", "1234"},
                          {"From", "+14158675309"},
                          {"To", "+18005551212"}};

std::string vector_request(const Headers& more = {}, const Form& form = kVectorForm,
                           const std::string& signature = kVectorSignature) {
  Headers headers = {{"Content-Type", kFormType}, {"X-Twilio-Signature", signature}};
  headers.insert(headers.end(), more.begin(), more.end());
  return request_text("POST", "/myapp.php?foo=1&bar=2", headers, form_body(form));
}

// Every use of the command in these tests goes through verify(), which looks for secrets in what it prints.
class VerifyTest : public TwilioTest {
 protected:
  std::string save(const std::string& bytes) {
    const std::string file = gateway().folder() + "/saved.http";
    std::ofstream(file, std::ios::trunc | std::ios::binary) << bytes;
    return file;
  }

  // The case is in the arguments and the bytes; `more`: what must not be printed either.
  Finished verify(const std::string& plugin, const std::string& bytes, const std::vector<std::string>& options = {},
                  const std::vector<std::string>& more = {}) {
    std::vector<std::string> args = {"verify", plugin, "--request", save(bytes)};
    args.insert(args.end(), options.begin(), options.end());
    const Finished finished = gateway().command(args);
    std::vector<std::string> hidden = {kToken,
                                       kVectorSignature,
                                       gateway().standard_secret(),
                                       gateway().legacy_key(),
                                       gateway().own_secret(),
                                       gateway().standard_secret().substr(6)};
    hidden.insert(hidden.end(), more.begin(), more.end());
    for (const std::string& secret : hidden) {
      EXPECT_THAT(finished.out, Not(HasSubstr(secret))) << ::testing::PrintToString(args);
      EXPECT_THAT(finished.err, Not(HasSubstr(secret))) << ::testing::PrintToString(args);
    }
    return finished;
  }
  Finished verify_vector(const std::string& bytes, const std::vector<std::string>& more = {}) {
    std::vector<std::string> options = {"--url", kVectorUrl, "--secret", "12345"};
    options.insert(options.end(), more.begin(), more.end());
    return verify("twilio", bytes, options);
  }
  void expect_accepted(const Finished& finished) {
    EXPECT_EQ(finished.exit.code, kAccept) << finished.out << finished.err;
    EXPECT_THAT(finished.out, StartsWith("accept\n"));
    EXPECT_EQ(finished.err, "");
  }
  void expect_rejected(const Finished& finished, const std::string& why) {
    EXPECT_EQ(finished.exit.code, kReject) << finished.out << finished.err;
    EXPECT_THAT(finished.out, StartsWith("reject: "));
    EXPECT_THAT(finished.out, ContainsRegex(why));
  }
};

TEST_F(VerifyTest, PublicVectorsOfTwilio) {
  const Finished first = verify_vector(vector_request());
  expect_accepted(first);
  EXPECT_THAT(first.out, HasSubstr("scheme: twilio"));
  EXPECT_THAT(first.out, HasSubstr("https://mycompany.com/myapp.php?foo=1&bar=2"));
  const Form repeated = {
      {"Sid", "CA123"}, {"SidAccount", "AC123"}, {"Digits", "5678"}, {"Digits", "1234"}, {"Digits", "1234"}};
  expect_accepted(verify_vector(vector_request({}, repeated, "IK+Dwps556ElfBT0I3Rgjkr1wJU=")));
  const std::string target =
      "/myapp.php?foo=1&bar=2&bodySHA256=0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620";
  const Headers headers = {{"Content-Type", "application/json"},
                           {"X-Twilio-Signature", "a9nBmqA0ju/hNViExpshrM61xv4="}};
  const std::string json = R"({"property": "value", "boolean": true})";
  expect_accepted(verify_vector(request_text("POST", target, headers, json)));
  expect_rejected(verify_vector(request_text("POST", target, headers, json + " ")), "bodySHA256 is not the SHA-256");
}

TEST_F(VerifyTest, WhatWasAltered) {
  Form altered = kVectorForm;
  altered[2].second = "1235";
  expect_rejected(verify_vector(vector_request({}, altered)), "no signature matches");
  std::string other_query = vector_request();
  other_query.replace(other_query.find("bar=2"), 5, "bar=3");
  expect_rejected(verify_vector(other_query), "no signature matches");
  expect_rejected(verify_vector(vector_request({{"x-twilio-signature", kVectorSignature}})), "more than once");
  expect_rejected(verify_vector(vector_request({}, kVectorForm, "nonsense")), "28 characters");
  expect_rejected(verify("twilio", vector_request(), {"--url", kVectorUrl, "--secret", "12346"}),
                  "no signature matches");
  expect_rejected(verify("twilio", vector_request(), {"--url", kVectorUrl}), "no signature matches");
  expect_rejected(verify("twilio", vector_request(), {"--secret", kVectorToken}), "no signature matches");
  expect_rejected(verify("twilio", request_text("POST", "/x", {{"Content-Type", kFormType}}, "a=b")),
                  "X-Twilio-Signature");
}

// What a token of a person's own makes of the request is not to be read there either.
TEST_F(VerifyTest, TheRightSignatureIsNeverShown) {
  const std::string right = twilio_signature(kToken, std::string(kPublicUrl) + "/myapp.php?foo=1&bar=2", kVectorForm);
  const auto bytes = from_base64(right);
  ASSERT_TRUE(bytes);
  for (const std::vector<std::string>& options : {std::vector<std::string>{}, {"--json"}, {"--scheme", "twilio"}}) {
    const Finished rejected = verify("twilio", vector_request(), options, {right, hex(*bytes)});
    EXPECT_EQ(rejected.exit.code, kReject);
    const Finished accepted = verify("twilio", vector_request({}, kVectorForm, right), options, {right, hex(*bytes)});
    EXPECT_EQ(accepted.exit.code, kAccept) << accepted.out;
  }
  const std::string own = "a-token-that-was-typed";
  const std::string of_own = twilio_signature(own, std::string(kPublicUrl) + "/myapp.php?foo=1&bar=2", kVectorForm);
  expect_rejected(verify("twilio", vector_request(), {"--secret", own}, {own, of_own}), "no signature matches");
}

TEST_F(VerifyTest, AsTheGatewaySeesIt) {
  const Form form = call_form(new_call_sid());
  Headers headers = sign_twilio(kToken, std::string(kPublicUrl) + kIncomingCall, form);
  headers.emplace_back("Content-Type", kFormType);
  const std::string bytes = request_text("POST", kIncomingCall, headers, form_body(form));
  const Finished finished = verify("twilio", bytes);
  expect_accepted(finished);
  EXPECT_THAT(finished.out, HasSubstr(std::string("route: POST ") + kIncomingCall));
  EXPECT_EQ(gateway().request("POST", kIncomingCall, headers, form_body(form)).status, 200);
  expect_rejected(verify("openphone", bytes), "no signature header");
}

TEST_F(VerifyTest, WrongUsage) {
  const std::string file = save(vector_request());
  const std::vector<std::vector<std::string>> wrong = {{"verify", "nobody", "--request", file},
                                                       {"verify", "twilio", "--request", file, "--scheme", "nothing"},
                                                       {"verify", "twilio", "--request", "/no/such/file"},
                                                       {"verify", "twilio", "--request", gateway().folder()},
                                                       {"verify", "twilio", "--request", file, "--at", "-1"},
                                                       {"verify", "twilio", "--request", file, "--at", "noon"},
                                                       {"verify", "twilio", "--request", file, "--no-such-option"},
                                                       {"verify", "twilio"},
                                                       {"verify", "--request", file}};
  for (const auto& args : wrong) {
    const Finished finished = gateway().command(args);
    EXPECT_EQ(finished.exit.code, kWrongUsage) << ::testing::PrintToString(args) << finished.out;
    EXPECT_EQ(finished.out, "") << ::testing::PrintToString(args);
    EXPECT_NE(finished.err, "") << ::testing::PrintToString(args);
  }
  EXPECT_THAT(gateway().command(wrong[0]).err, HasSubstr("openphone, twilio")) << "which there are";
  EXPECT_THAT(gateway().command(wrong[1]).err, HasSubstr("it has: twilio"));
  EXPECT_EQ(run(postern_binary(), {"verify", "twilio", "--request", file, "-c", "/no/such.yaml"}).exit.code, 1);
}

TEST_F(VerifyTest, OpenphonesSchemesAtTheirTime) {
  const std::string body = message_body("EV1");
  const Gateway& g = gateway();
  struct Case {
    std::string scheme;
    Headers headers;
  };
  const std::vector<Case> cases = {{"standard", sign_standard(g.standard_secret(), "EV1", kSavedAt, body)},
                                   {"legacy", sign_legacy(g.legacy_key(), std::string(kSavedAt) + "000", body)},
                                   {"shared", sign_own(g.own_secret(), kSavedAt, body)}};
  for (const Case& c : cases) {
    std::vector<std::string> hidden;
    for (const auto& [name, value] : c.headers) {
      if (value.size() > 40) hidden.push_back(value.substr(value.find_last_of(",;") + 1));
    }
    ASSERT_EQ(hidden.size(), 1u) << c.scheme;
    const std::string bytes = request_text("POST", "/hook", c.headers, body);
    const Finished then = verify("openphone", bytes, {"--at", kSavedAt}, hidden);
    expect_accepted(then);
    const Finished now = verify("openphone", bytes, {}, hidden);
    expect_rejected(now, "the signature itself is right: only its time");
    EXPECT_THAT(now.out, HasSubstr("s ago")) << "the difference of the clocks";
    expect_rejected(verify("openphone", bytes, {"--at", "1763600000"}, hidden), "in the future");
    expect_rejected(
        verify("openphone", request_text("POST", "/hook", c.headers, body + " "), {"--at", kSavedAt}, hidden),
        "none matches");
    EXPECT_EQ(verify("openphone", request_text("POST", "/hook", c.headers, body + " "), {}, hidden).exit.code, kReject);
  }
}

// A request of two schemes: the gateway looks at the first one that applies, and a person at the one asked for.
TEST_F(VerifyTest, TheSchemeThatIsAskedFor) {
  const std::string body = message_body("EV1");
  Headers headers = sign_legacy(gateway().legacy_key(), std::string(kSavedAt) + "000", body);
  const Headers forged = sign_own(new_own_secret(), kSavedAt, body);
  headers.insert(headers.end(), forged.begin(), forged.end());
  const std::string bytes = request_text("POST", "/hook", headers, body);
  const auto ask = [&](const std::string& scheme) {
    const Finished finished = verify("openphone", bytes, {"--at", kSavedAt, "--scheme", scheme});
    EXPECT_THAT(finished.out, HasSubstr("scheme: " + scheme + ", as asked for"));
    return finished;
  };
  expect_accepted(ask("legacy"));
  expect_rejected(ask("shared"), "none matches");
  expect_rejected(ask("standard"), "missing");
}

// What an editor or a shell makes of a saved request, without a change of what was signed.
TEST_F(VerifyTest, SavedByHand) {
  std::string lines = vector_request();
  const size_t head_end = lines.find("\r\n\r\n") + 4;
  std::string head = lines.substr(0, head_end);
  std::erase(head, '\r');
  const Finished line_feeds = verify_vector(head + lines.substr(head_end));
  expect_accepted(line_feeds);
  EXPECT_THAT(line_feeds.out, HasSubstr("line feeds"));
  for (const std::string& more : {std::string("\n"), std::string("\r\n"), std::string("GET / HTTP/1.1\r\n\r\n")}) {
    const Finished trailing = verify_vector(lines + more);
    expect_accepted(trailing);
    EXPECT_THAT(trailing.out, HasSubstr(std::to_string(more.size()) + " bytes follow"));
  }
  expect_rejected(verify_vector(lines.substr(0, lines.size() - 1)), "shorter than its Content-Length");
  expect_rejected(verify_vector(lines.substr(0, head_end - 2)), "the head of the request does not end");
  expect_rejected(verify_vector(""), "the head of the request does not end");
  expect_rejected(verify_vector("not a request at all\r\n\r\n"), "the gateway refuses this request: 400");
  std::string control = lines;
  control.replace(control.find("myapp"), 5, "\x1b[31m");
  EXPECT_THAT(verify_vector(control).out, Not(HasSubstr("\x1b"))) << "a terminal would obey it";
}

TEST_F(VerifyTest, ForPrograms) {
  const Finished accepted = verify_vector(vector_request(), {"--json"});
  EXPECT_EQ(accepted.exit.code, kAccept);
  auto json = nlohmann::json::parse(accepted.out, nullptr, false);
  ASSERT_TRUE(json.is_object()) << accepted.out;
  EXPECT_EQ(json["verdict"], "accept");
  EXPECT_TRUE(json["reason"].is_null());
  EXPECT_EQ(json["plugin"], "twilio");
  EXPECT_EQ(json["scheme"], "twilio");
  ASSERT_TRUE(json["steps"].is_array());
  EXPECT_GT(json["steps"].size(), 3u);

  const Finished rejected = verify("twilio", vector_request(), {"--json"});
  EXPECT_EQ(rejected.exit.code, kReject);
  json = nlohmann::json::parse(rejected.out, nullptr, false);
  ASSERT_TRUE(json.is_object()) << rejected.out;
  EXPECT_EQ(json["verdict"], "reject");
  EXPECT_EQ(json["reason"], "no signature matches");
  const std::vector<std::string> steps = json["steps"];
  EXPECT_THAT(steps,
              Contains(ContainsRegex("tried https://hooks.postern.test/myapp.php.foo=1&bar=2: [0-9]+ bytes signed, "
                                     "SHA-256 [0-9a-f]+")));
  EXPECT_THAT(steps, Contains(HasSubstr("auth tokens tried: 1")));
  const Finished neither = verify("twilio", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", {"--json"});
  json = nlohmann::json::parse(neither.out, nullptr, false);
  ASSERT_TRUE(json.is_object()) << neither.out;
  EXPECT_TRUE(json["scheme"].is_null());
}

// The usual cause behind a proxy, and its cure.
TEST_F(VerifyTest, TheHintNamesTheRightUrl) {
  const Headers host = {{"X-Forwarded-Host", "mycompany.com"}, {"X-Forwarded-Proto", "https"}};
  const Finished finished = verify("twilio", vector_request(host), {"--secret", kVectorToken});
  expect_rejected(finished, "set gateway.public_url to https://mycompany.com\n");
  EXPECT_THAT(finished.out, HasSubstr("forwarded headers: not looked at, gateway.public_url says the address"));
  const Finished hopeless = verify("twilio", vector_request(host, {{"CallSid", "CA2"}}), {"--secret", kVectorToken});
  EXPECT_THAT(hopeless.out, Not(HasSubstr("set gateway.public_url")));
}

class VerifyBehindProxyTest : public VerifyTest {
 protected:
  GatewayOptions options() const override {
    return {.public_url = "none", .gateway = "  trusted_proxies: [127.0.0.1/32]\n", .plugins = twilio_entry()};
  }
};

TEST_F(VerifyBehindProxyTest, WhoSaysTheAddress) {
  const std::string bytes = vector_request({{"X-Forwarded-Host", "mycompany.com"}, {"X-Forwarded-Proto", "https"}});
  const auto with = [](std::vector<std::string> more) {
    more.insert(more.end(), {"--secret", kVectorToken});
    return more;
  };
  const Finished believed = verify("twilio", bytes, with({}));
  expect_accepted(believed);
  EXPECT_THAT(believed.out, HasSubstr("forwarded headers: believed"));
  expect_accepted(verify("twilio", bytes, with({"--peer", "127.0.0.1"})));
  expect_rejected(verify("twilio", bytes, with({"--peer", "203.0.113.9"})), "no signature matches");
  expect_rejected(verify("twilio", bytes, with({"--url", "https://other.example.test"})), "no signature matches");
  expect_accepted(verify("twilio", vector_request({{"Forwarded", "proto=https;host=mycompany.com"}}), with({})));
  expect_rejected(
      verify("twilio", vector_request({{"X-Forwarded-Host", "other.test"}, {"X-Forwarded-Proto", "https"}}), with({})),
      "no signature matches");
}

}  // namespace
}  // namespace postern::testing
