// The opening handshake, both sides, beside the RFC's own example.
#include "core/websocket/handshake.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

namespace postern::websocket {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const std::string kKey = "dGhlIHNhbXBsZSBub25jZQ==";
const std::string kAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";  // RFC 6455 §1.3

std::string headers(const std::string& upgrade = "websocket", const std::string& connection = "Upgrade", const std::string& key = kKey,
                    const std::string& version = "13") {
  std::string text = "Host: h\r\n";
  if (!upgrade.empty()) text += "Upgrade: " + upgrade + "\r\n";
  if (!connection.empty()) text += "Connection: " + connection + "\r\n";
  if (!key.empty()) text += "Sec-WebSocket-Key: " + key + "\r\n";
  if (!version.empty()) text += "Sec-WebSocket-Version: " + version + "\r\n";
  return text;
}

Acceptance ask(const std::string& fields, const std::vector<std::string>& protocols = {}, const char* method = "GET", std::string body = "") {
  return accept(http::Request::from_parts(method, "/ws", fields, std::move(body)), protocols, "req_1");
}

TEST(ServerHandshake, IsThatOfTheRfc) {
  EXPECT_EQ(accept_key(kKey), kAccept);
  const Acceptance done = ask(headers());
  ASSERT_FALSE(done.refusal);
  EXPECT_EQ(done.switching,
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + kAccept +
                "\r\nX-Request-Id: req_1\r\n\r\n");
}

TEST(ServerHandshake, TakesListsAndAnyCase) {
  for (const auto& fields : {headers("WebSocket"), headers("h2c, websocket"), headers("websocket", "keep-alive, UPGRADE"),
                             headers("websocket", "") + "connection: keep-alive\r\nconnection: upgrade\r\n"}) {
    EXPECT_FALSE(ask(fields).refusal) << fields;
  }
}

TEST(ServerHandshake, RefusesWhatIsNone) {
  const std::string cases[] = {
      headers(""), headers("websockets"), headers("websocket/13x"), headers("websocket", ""), headers("websocket", "upgraded"),
      headers("websocket", "Upgrade", ""), headers("websocket", "Upgrade", "dGhlIHNhbXBsZSBub25jZQ="),
      headers("websocket", "Upgrade", "c2hvcnQ="), headers("websocket", "Upgrade", kKey, ""),
      headers() + "Sec-WebSocket-Key: " + kKey + "\r\n", headers() + "Sec-WebSocket-Version: 13\r\n",
  };
  for (const std::string& fields : cases) {
    const Acceptance done = ask(fields);
    ASSERT_TRUE(done.refusal) << fields;
    EXPECT_EQ(done.refusal->status, 400) << fields;
    EXPECT_TRUE(done.switching.empty());
  }
  EXPECT_TRUE(ask(headers(), {}, "POST").refusal);
  EXPECT_TRUE(ask(headers(), {}, "GET", "x").refusal) << "its body would be read as frames";
}

TEST(ServerHandshake, TellsItsVersion) {
  for (const char* version : {"8", "0", "14", "13, 8", "013"}) {
    const Acceptance done = ask(headers("websocket", "Upgrade", kKey, version));
    ASSERT_TRUE(done.refusal) << version;
    EXPECT_EQ(done.refusal->status, 426);
    EXPECT_EQ(done.refusal->headers[0], (std::pair<std::string, std::string>("Sec-WebSocket-Version", "13")));
  }
}

TEST(ServerHandshake, ChoosesAProtocolOfBoth) {
  const std::string asked = headers() + "Sec-WebSocket-Protocol: a, b\r\nSec-WebSocket-Protocol: c\r\n";
  EXPECT_THAT(ask(asked, {"c", "b"}).switching, HasSubstr("Sec-WebSocket-Protocol: b\r\n"));
  EXPECT_THAT(ask(asked, {"d"}).switching, Not(HasSubstr("Protocol:")));
  EXPECT_THAT(ask(asked).switching, Not(HasSubstr("Protocol:")));
  EXPECT_THAT(ask(headers() + "Sec-WebSocket-Extensions: permessage-deflate\r\n").switching, Not(HasSubstr("Extensions")));
}

// ---- client

struct Answered {
  Status status;
  size_t used = 0;
};

Answered answer(ClientHandshake& client, const std::string& text, size_t piece) {
  size_t used = 0;
  for (size_t i = 0; i < text.size(); i += piece) {
    auto outcome = client.feed(std::string_view(text).substr(i, piece));
    if (outcome) return {outcome->status, used + outcome->used};
    used += std::min(piece, text.size() - i);
  }
  return {Status(Code::kTimeout, "incomplete"), used};
}

std::string key_of(const ClientHandshake& client) {
  const std::string& request = client.request();
  const size_t at = request.find("Sec-WebSocket-Key: ") + 19;
  return request.substr(at, request.find("\r\n", at) - at);
}

std::string good(const ClientHandshake& client, const std::string& more = "") {
  return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
         accept_key(key_of(client)) + "\r\n" + more + "\r\n";
}

TEST(ClientHandshake, AsksAsTheRfcSays) {
  const ClientHandshake client("api.test:8443", "/v1?model=m", {{"Authorization", "Bearer x"}}, {"realtime", "other"});
  const std::string key = key_of(client);
  EXPECT_EQ(client.request(), "GET /v1?model=m HTTP/1.1\r\nHost: api.test:8443\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                              "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + key +
                                  "\r\nAuthorization: Bearer x\r\nSec-WebSocket-Protocol: realtime, other\r\n\r\n");
  EXPECT_EQ(key.size(), 24u);
  EXPECT_NE(key, key_of(ClientHandshake("a", "/", {}, {}))) << "a new one each time";
  EXPECT_FALSE(ask(client.request().substr(client.request().find("\r\n") + 2), {}, "GET").refusal);
}

TEST(ClientHandshake, TakesItsAnswerHoweverItIsCut) {
  for (size_t piece : {1u, 2u, 3u, 7u, 1000u}) {
    ClientHandshake client("a", "/", {}, {"p"});
    const std::string head = good(client, "Sec-WebSocket-Protocol: p\r\nX-Empty:\r\n");
    const Answered done = answer(client, head + "\x81\x02hi", piece);
    EXPECT_TRUE(done.status) << done.status.message();
    EXPECT_EQ(done.used, head.size()) << "what is behind it are frames";
    EXPECT_EQ(client.protocol(), "p");
    EXPECT_EQ(client.http_status(), 101);
  }
}

TEST(ClientHandshake, RefusesAnswersThatAreNone) {
  auto refused = [](const std::function<std::string(const ClientHandshake&)>& make) {
    ClientHandshake client("a", "/", {}, {"p"});
    const Answered done = answer(client, make(client), 1000);
    return !done.status && done.status.code() != Code::kTimeout;
  };
  auto replaced = [](const std::string& from, const std::string& to) {
    return [=](const ClientHandshake& client) {
      std::string text = good(client);
      return text.replace(text.find(from), from.size(), to);
    };
  };
  EXPECT_TRUE(refused(replaced("HTTP/1.1", "HTTP/1.0")));
  EXPECT_TRUE(refused(replaced("HTTP/1.1 101 Switching Protocols", "HTTP/1.1 101x")));
  EXPECT_TRUE(refused(replaced("101", "200")));
  EXPECT_TRUE(refused(replaced("websocket", "other")));
  EXPECT_TRUE(refused(replaced("Connection: Upgrade", "Connection: close")));
  EXPECT_TRUE(refused(replaced("Connection: Upgrade", "Connection Upgrade")));
  EXPECT_TRUE(refused(replaced("Connection: Upgrade", "Connection: Upgrade\r\nX: a" + std::string(1, '\0') + "b")));
  EXPECT_TRUE(refused(replaced("Sec-WebSocket-Accept: ", "Sec-WebSocket-Accept: x")));
  EXPECT_TRUE(refused([](const ClientHandshake& c) { return good(c, "Sec-WebSocket-Accept: " + accept_key(key_of(c)) + "\r\n"); }));
  EXPECT_TRUE(refused([](const ClientHandshake& c) { return good(c, "Sec-WebSocket-Extensions: permessage-deflate\r\n"); }));
  EXPECT_TRUE(refused([](const ClientHandshake& c) { return good(c, "Sec-WebSocket-Protocol: q\r\n"); }));
  EXPECT_TRUE(refused([](const ClientHandshake& c) { return good(c, "X: " + std::string(20'000, 'x') + "\r\n"); }));
  EXPECT_FALSE(refused([](const ClientHandshake& c) { return good(c); })) << "the control";
  ClientHandshake client("a", "/", {}, {});
  EXPECT_EQ(answer(client, "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", 5).status.code(), Code::kDenied);
  EXPECT_EQ(client.http_status(), 401);
}

}  // namespace
}  // namespace postern::websocket
