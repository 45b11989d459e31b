// Signatures of WebSocket handshakes. The vectors were made beside the plugin, for the token 12345:
//   python3 -c 'import hmac,hashlib,base64,sys; print(base64.b64encode(hmac.new(b"12345",sys.argv[1].encode(),hashlib.sha1).digest()).decode())' URL
#include <gmock/gmock.h>

#include "tests/unit/twilio/twilio_host.h"

namespace twilio_test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kStream = "https://mycompany.com/api/v1/voice/media-stream";  // as the gateway knows it

Request handshake(const std::string& signature, const std::string& url = kStream, const std::string& upgrade = "websocket") {
  Request request{.method = "GET", .target = target_of(url), .headers = {{"Upgrade", upgrade}, {"x-twilio-signature", signature}}};
  request.urls = {url};
  return request;
}

class Handshake : public ::testing::Test {
 protected:
  Host host;
};

TEST_F(Handshake, EachWayToWriteTheUrl) {
  constexpr struct {
    const char* signed_url;
    const char* signature;
  } kVectors[] = {
      {"wss://mycompany.com/api/v1/voice/media-stream", "HwDbB8JJ6auNh9jORV7sQmnZw6g="},
      {"wss://mycompany.com/api/v1/voice/media-stream/", "4eB7Czxyn+jtjauDl4l99mklP+g="},
      {"https://mycompany.com/api/v1/voice/media-stream", "YZSmCCTYPfZxVjlN9KAxJtibQ4o="},
      {"https://mycompany.com/api/v1/voice/media-stream/", "akjT5hGHq2O5WXFFV0P3VLV4OtM="},
      {"wss://mycompany.com:443/api/v1/voice/media-stream/", "y85qrpD0w2i5qo19QO+27msjBck="},
      {"wss://mycompany.com:80/api/v1/voice/media-stream", "7zEScRbA63koTzR3eWRa0IuceyU="},
      {"https://mycompany.com:443/api/v1/voice/media-stream", "nalxYN4rPvnYayrRvaB6IM7C3PM="},
  };
  for (const auto& vector : kVectors) {
    EXPECT_TRUE(host.accepts(handshake(vector.signature))) << vector.signed_url;
    Request post = request(kStream, "", vector.signature, "");
    EXPECT_EQ(host.accepts(post), std::string(vector.signed_url).starts_with("https") && !std::string(vector.signed_url).ends_with('/'))
        << "no handshake: " << vector.signed_url;
  }
}

TEST_F(Handshake, WithoutTlsOnlyWhereTheUrlHasNone) {
  const std::string plain = "http://mycompany.com/api/v1/voice/media-stream";
  for (const char* signature : {"k65dUKYlMZs64AAniNbOkTISm14=" /* ws://…/media-stream */, "Tcuiu1fkI+bwOyHyKaunKaTugYs=" /* http://…/ */}) {
    EXPECT_FALSE(host.accepts(handshake(signature)));
    EXPECT_TRUE(host.accepts(handshake(signature, plain)));
  }
  EXPECT_TRUE(host.accepts(handshake("HwDbB8JJ6auNh9jORV7sQmnZw6g=", plain))) << "<Stream> has wss whatever the public URL";
}

TEST_F(Handshake, PortsAndQueries) {
  const std::string with_port = "https://mycompany.com:8443/stream?a=b";
  for (const char* url : {"wss://mycompany.com:8443/stream?a=b", "wss://mycompany.com/stream/?a=b", "https://mycompany.com:8443/stream/?a=b"}) {
    EXPECT_TRUE(host.accepts(handshake(sign(url), with_port))) << url;
  }
  for (const char* url : {"wss://mycompany.com:443/stream?a=b", "wss://mycompany.com:8443/stream", "wss://mycompany.com:8443/stream?a=b/",
                          "wss://other.com:8443/stream?a=b"}) {
    EXPECT_FALSE(host.accepts(handshake(sign(url), with_port))) << url;
  }
  EXPECT_TRUE(host.accepts(handshake(sign("wss://mycompany.com/a/"), "https://mycompany.com/a/")));
  EXPECT_FALSE(host.accepts(handshake(sign("wss://mycompany.com/a//"), "https://mycompany.com/a/")));
}

TEST_F(Handshake, OnlyARequestThatAsksForOne) {
  const std::string signature = sign("wss://mycompany.com/api/v1/voice/media-stream");
  for (const char* upgrade : {"websocket", "WebSocket", " websocket ", "h2c, websocket"}) {
    EXPECT_TRUE(host.accepts(handshake(signature, kStream, upgrade))) << upgrade;
  }
  for (const char* upgrade : {"", "websockets", "h2c", "web socket", ","}) {
    EXPECT_FALSE(host.accepts(handshake(signature, kStream, upgrade))) << upgrade;
  }
  Request post = handshake(signature);
  post.method = "POST";
  EXPECT_FALSE(host.accepts(post));
  Request with_body = handshake(signature);
  with_body.body = "{}";
  EXPECT_FALSE(host.accepts(with_body)) << "nothing signs the body";
}

TEST_F(Handshake, OtherTokensAndRepeatedHeadersAreRefused) {
  EXPECT_FALSE(host.accepts(handshake(sign("wss://mycompany.com/api/v1/voice/media-stream", {}, "12346"))));
  Request twice = handshake("HwDbB8JJ6auNh9jORV7sQmnZw6g=");
  twice.headers.emplace_back("X-Twilio-Signature", "HwDbB8JJ6auNh9jORV7sQmnZw6g=");
  EXPECT_FALSE(host.accepts(twice));
}

// Without a body there is no AccountSid to compare, and <Stream> takes no query.
TEST_F(Handshake, NeedsNoAccountSidButAWrongOneIsRefused) {
  Host strict(json{{"auth_tokens", {kToken}}, {"account_sid", kAccount}}.dump());
  EXPECT_TRUE(strict.accepts(handshake("HwDbB8JJ6auNh9jORV7sQmnZw6g=")));
  const std::string other = std::string(kStream) + "?AccountSid=AC00000000000000000000000000000000";
  EXPECT_FALSE(strict.accepts(handshake(sign("wss" + other.substr(5)), other)));
  const std::string get = std::string(kStream) + "?a=b";
  Request plain = handshake(sign(get), get, "h2c");
  EXPECT_FALSE(strict.accepts(plain)) << "any other GET does";
}

TEST_F(Handshake, IsExplained) {
  EXPECT_THAT(host.explain(handshake("4eB7Czxyn+jtjauDl4l99mklP+g=")),
              AllOf(HasSubstr("WebSocket handshake: the URL alone is signed, as wss or https"),
                    HasSubstr("tried wss://mycompany.com/api/v1/voice/media-stream: "), HasSubstr("tried https://mycompany.com:443/api/"),
                    HasSubstr("the signature matches for wss://mycompany.com/api/v1/voice/media-stream/\n")));
  Request behind = handshake(sign("wss://other.example/api/v1/voice/media-stream"));
  behind.headers.emplace_back("Host", "other.example");
  EXPECT_THAT(host.explain(behind), AllOf(HasSubstr("no token and URL give this signature"),
                                          HasSubstr("it would match for wss://other.example/api/v1/voice/media-stream"),
                                          HasSubstr("set gateway.public_url to https://other.example")));
  EXPECT_THAT(host.explain(handshake("HwDbB8JJ6auNh9jORV7sQmnZw6g=", kStream, "h2c")), Not(HasSubstr("handshake")));
}

TEST_F(Handshake, IsSignedAsWss) {
  Request one = handshake("x");
  one.headers.pop_back();
  auto done = host.sign("twilio", one);
  ASSERT_TRUE(done.ok()) << done.error;
  ASSERT_EQ(done.headers.size(), 1u);
  EXPECT_EQ(done.headers[0].second, "HwDbB8JJ6auNh9jORV7sQmnZw6g=");
  one.headers = {};
  EXPECT_EQ(host.sign("twilio", one).headers.at(0).second, "YZSmCCTYPfZxVjlN9KAxJtibQ4o=") << "no handshake: as it is";
}

}  // namespace
}  // namespace twilio_test
