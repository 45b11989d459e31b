// HTTP framing at the door: lengths, encodings, limits, pipelining. A request that two programs could read in two ways
// is refused and the connection closed, so that nothing can hide behind it.
#include <gmock/gmock.h>

#include <string>
#include <utility>
#include <vector>

#include "tests/integration/openphone_test.h"

namespace postern::testing {
namespace {

using ::testing::AnyOf;

constexpr size_t kMaxBody = 4096;

class FramingTest : public OpenphoneTest {
 protected:
  GatewayOptions options() const override { return {.gateway = "  max_body: 4KiB\n"}; }

  // A whole signed request with these framing headers; `wire_body` is what follows the head.
  std::string signed_request(const Headers& framing, const std::string& body, const std::string& wire_body) {
    Headers headers = gateway().sign(new_event_id(), body);
    headers.emplace_back("Content-Type", "application/json");
    headers.insert(headers.end(), framing.begin(), framing.end());
    return request_text("POST", kOpenphonePath, headers) + wire_body;
  }
  std::string chunked(const std::string& body, const std::string& chunks) {
    return signed_request({{"Transfer-Encoding", "chunked"}}, body, chunks);
  }
  static std::string chunk(const std::string& data) {
    char size[20];
    std::snprintf(size, sizeof size, "%zx\r\n", data.size());
    return size + data + "\r\n";
  }
  std::string post_head(const std::string& lines) {
    return "POST " + std::string(kOpenphonePath) + " HTTP/1.1\r\n" + lines + "\r\n";
  }
};

TEST_F(FramingTest, AmbiguousRequestsAreRefused) {
  const std::string host = "Host: a\r\n";
  const std::string hidden = "GET /health HTTP/1.1\r\nHost: a\r\n\r\n";  // would be answered as a request of its own
  const std::vector<std::pair<const char*, std::string>> requests = {
      {"length and chunked",
       post_head(host + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n") + "0\r\n\r\n" + hidden},
      {"two lengths", post_head(host + "Content-Length: 5\r\nContent-Length: 6\r\n") + "hello" + hidden},
      {"the same length twice", post_head(host + "Content-Length: 5\r\nContent-Length: 5\r\n") + "hello" + hidden},
      {"a list of lengths", post_head(host + "Content-Length: 5, 5\r\n") + "hello" + hidden},
      {"length with a plus", post_head(host + "Content-Length: +5\r\n") + "hello" + hidden},
      {"negative length", post_head(host + "Content-Length: -5\r\n") + "hello" + hidden},
      {"hexadecimal length", post_head(host + "Content-Length: 0x5\r\n") + "hello" + hidden},
      {"empty length", post_head(host + "Content-Length:\r\n") + "hello" + hidden},
      {"length with a space inside", post_head(host + "Content-Length: 1 0\r\n") + "hello" + hidden},
      {"no host", post_head("Content-Length: 0\r\n") + hidden},
      {"two hosts", post_head(host + host + "Content-Length: 0\r\n") + hidden},
      {"folded header", post_head(host + "X: a\r\n b\r\nContent-Length: 0\r\n") + hidden},
      {"space before the colon", post_head(host + "Content-Length : 5\r\n") + "hello" + hidden},
      {"space before the first header", post_head(" " + host + "Content-Length: 0\r\n") + hidden},
      {"no colon", post_head(host + "nonsense\r\nContent-Length: 0\r\n") + hidden},
      {"empty header name", post_head(host + ": x\r\nContent-Length: 0\r\n") + hidden},
      {"header name with a space", post_head(host + "a b: x\r\nContent-Length: 0\r\n") + hidden},
      {"carriage return in a value", post_head(host + "X: a\rb\r\nContent-Length: 0\r\n") + hidden},
      {"NUL in a value", post_head(host + std::string("X: a\0b\r\n", 8) + "Content-Length: 0\r\n") + hidden},
      {"NUL in the target", std::string("GET /he\0alth HTTP/1.1\r\nHost: a\r\n\r\n", 34) + hidden},
      {"line feeds alone", "GET /health HTTP/1.1\nHost: a\n\n" + hidden},
      {"line feed alone in the head", "GET /health HTTP/1.1\r\nX: a\nHost: a\r\n\r\n" + hidden},
      {"bytes over 0x7f in the target", "GET /h\xc3\xa4lth HTTP/1.1\r\nHost: a\r\n\r\n" + hidden},
      {"two spaces in the request line", "GET  /health HTTP/1.1\r\nHost: a\r\n\r\n" + hidden},
      {"tab in the request line", "GET\t/health HTTP/1.1\r\nHost: a\r\n\r\n" + hidden},
      {"no version", "GET /health\r\nHost: a\r\n\r\n" + hidden},
      {"method that is no token", "GE{T /health HTTP/1.1\r\nHost: a\r\n\r\n" + hidden},
      {"fragment in the target", "GET /health#x HTTP/1.1\r\nHost: a\r\n\r\n" + hidden},
      {"binary noise", std::string("\x16\x03\x01\x02\0\1\r\n\r\n", 10) + hidden},
  };
  EXPECT_TRUE(stores_nothing([&] {
    for (const auto& [name, request] : requests) EXPECT_EQ(refusal_of(request), 400) << name;
  }));
}

TEST_F(FramingTest, OtherRefusals) {
  const std::string host = "Host: a\r\n";
  EXPECT_THAT(refusal_of(post_head(host + "Content-Length: 99999999999999999999999\r\n")), AnyOf(400, 413));
  EXPECT_EQ(refusal_of(post_head(host)), 411);
  EXPECT_EQ(refusal_of("GET /" + std::string(9000, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n"), 414);
  EXPECT_EQ(refusal_of(post_head(host + "Expect: a-miracle\r\nContent-Length: 2\r\n")), 417);
  EXPECT_EQ(refusal_of(post_head(host + "X: " + std::string(100'000, 'a') + "\r\nContent-Length: 2\r\n")), 431);
  EXPECT_EQ(refusal_of(post_head(host + "Transfer-Encoding: gzip\r\n")), 501);
  EXPECT_THAT(refusal_of(post_head(host + "Transfer-Encoding: gzip, chunked\r\n")), AnyOf(400, 501));
  EXPECT_THAT(refusal_of(post_head(host + "Transfer-Encoding: chunked, identity\r\n")), AnyOf(400, 501));
  EXPECT_THAT(refusal_of(post_head(host + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n")),
              AnyOf(400, 501));
  EXPECT_EQ(refusal_of("GET /health HTTP/2.0\r\nHost: a\r\n\r\n"), 505);
  EXPECT_EQ(
      refusal_of("POST " + std::string(kOpenphonePath) + " HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"),
      400);
}

TEST_F(FramingTest, TooManyHeaders) {
  std::string headers = "Host: a\r\n";
  for (int i = 0; i < 500; ++i) headers += "X-" + std::to_string(i) + ": 1\r\n";
  EXPECT_EQ(refusal_of("GET /health HTTP/1.1\r\n" + headers + "\r\n"), 431);
}

TEST_F(FramingTest, ChunkedBodyIsOneBody) {
  const std::string body = message_body(new_event_id());
  const std::string wire =
      chunk(body.substr(0, 1)) + chunk(body.substr(1, 100)) + chunk(body.substr(101)) + "0\r\n\r\n";
  WireClient client = gateway().connect();
  client.send_in_pieces(chunked(body, wire), 37);
  const auto response = client.read_response();
  ASSERT_TRUE(response);
  EXPECT_EQ(status_of(*response), "queued");
  EXPECT_EQ(gateway().store().number("SELECT count(*) FROM event WHERE body = CAST(? AS BLOB)", {body}), 1);
}

TEST_F(FramingTest, MalformedChunksAreRefused) {
  const std::string body = message_body(new_event_id());
  const std::string size = chunk(body).substr(0, chunk(body).find('\r'));
  const std::vector<std::pair<const char*, std::string>> bodies = {
      {"prefix", "0x" + size + "\r\n" + body + "\r\n0\r\n\r\n"},
      {"sign", "+" + size + "\r\n" + body + "\r\n0\r\n\r\n"},
      {"no size", "\r\n" + body + "\r\n0\r\n\r\n"},
      {"size beyond 64 bits", "fffffffffffffffff\r\n" + body + "\r\n0\r\n\r\n"},
      {"line feed alone", size + "\n" + body + "\n0\n\n"},
      {"extension", size + ";a=b\r\n" + body + "\r\n0\r\n\r\n"},
      {"data longer than its size", "5\r\n" + body + "\r\n0\r\n\r\n"},
      {"trailer", chunk(body) + "0\r\nX: y\r\n\r\n"},
  };
  EXPECT_TRUE(stores_nothing([&] {
    for (const auto& [name, wire] : bodies) EXPECT_EQ(refusal_of(chunked(body, wire)), 400) << name;
  }));
}

// The largest body that is allowed, and one byte more.
std::string body_of(size_t size) {
  const std::string id = new_event_id();
  const size_t bare = message_body(id, "CN1", "").size();
  return message_body(id, "CN1", std::string(size - bare, 'x'));
}

TEST_F(FramingTest, BodyAtTheLimitIsAccepted) {
  const std::string body = body_of(kMaxBody);
  ASSERT_EQ(body.size(), kMaxBody);
  EXPECT_EQ(status_of(gateway().post_signed(new_event_id(), body)), "queued");
  const std::string other = body_of(kMaxBody);
  WireClient client = gateway().connect();
  client.send(chunked(other, chunk(other.substr(0, 4000)) + chunk(other.substr(4000)) + "0\r\n\r\n"));
  const auto response = client.read_response();
  ASSERT_TRUE(response);
  EXPECT_EQ(status_of(*response), "queued");
}

TEST_F(FramingTest, BodyOverTheLimitIsRefused) {
  const std::string body = body_of(kMaxBody + 1);
  EXPECT_TRUE(stores_nothing([&] {
    EXPECT_EQ(refusal_of(signed_request({{"Content-Length", std::to_string(body.size())}}, body, body)), 413);
    EXPECT_EQ(refusal_of(chunked(body, chunk(body) + "0\r\n\r\n")), 413);
    EXPECT_EQ(refusal_of(chunked(body, chunk(body.substr(0, 4000)) + chunk(body.substr(4000)) + "0\r\n\r\n")), 413);
  }));
}

TEST_F(FramingTest, TooLargeALengthIsRefusedBeforeTheBody) {
  WireClient client = gateway().connect();
  client.send(signed_request({{"Content-Length", "5000"}}, "x", ""));
  const auto response = client.read_response();
  ASSERT_TRUE(response) << "it waited for the body";
  EXPECT_EQ(response->status, 413);
}

TEST_F(FramingTest, EndlessChunksAreRefusedWhenTooLarge) {
  WireClient client = gateway().connect();
  client.send(chunked("x", chunk(std::string(3000, 'x')) + chunk(std::string(3000, 'x'))));  // and no end
  const auto response = client.read_response();
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 413);
}

// An early refusal must reach a client that only reads when it has sent everything: a server that closes with unread
// bytes resets the connection, and the answer is lost.
TEST_F(FramingTest, EarlyRefusalIsReadable) {
  const std::string body(5'000'000, 'x');
  for (const auto& [request, status] : std::vector<std::pair<std::string, int>>{
           {signed_request({{"Content-Length", std::to_string(body.size())}}, "x", body), 413},
           {request_text("POST", "/no/such/route", {}, body), 404},
           {request_text("PUT", kOpenphonePath, {}, body), 405}}) {
    WireClient client = gateway().connect();
    client.send(request);
    const auto response = client.read_response();
    ASSERT_TRUE(response) << status;
    EXPECT_EQ(response->status, status);
    client.shutdown_write();
    client.read_until_close();
    EXPECT_EQ(client.ending(), Ending::kClosed) << status;
  }
}

TEST_F(FramingTest, ExpectContinue) {
  const std::string id = new_event_id();
  const std::string body = message_body(id);
  Headers headers = gateway().sign(id, body);
  headers.insert(headers.end(), {{"Content-Type", "application/json"},
                                 {"Expect", "100-continue"},
                                 {"Content-Length", std::to_string(body.size())}});
  WireClient client = gateway().connect();
  client.send(request_text("POST", kOpenphonePath, headers));
  const auto go_on = client.read_response();
  ASSERT_TRUE(go_on);
  EXPECT_EQ(go_on->status, 100);
  client.send(body);
  const auto response = client.read_response();
  ASSERT_TRUE(response);
  EXPECT_EQ(status_of(*response), "queued");
}

TEST_F(FramingTest, ExpectContinueIsNotGivenForWhatIsRefused) {
  WireClient client = gateway().connect();
  client.send(signed_request({{"Expect", "100-continue"}, {"Content-Length", "5000"}}, "x", ""));
  const auto response = client.read_response();
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 413);
}

TEST_F(FramingTest, PipelinedRequestsAreAnsweredInOrder) {
  std::string all;
  std::vector<std::pair<std::string, std::string>> events;  // id and body
  for (int i = 0; i < 20; ++i) {
    if (i % 4 == 1) {
      all += request_text("GET", "/health", {});
    } else if (i % 4 == 3) {
      all += request_text("GET", "/no/such/route", {});
    } else {
      const std::string id = new_event_id();
      events.emplace_back(id, message_body(id));
      Headers headers = gateway().sign(id, events.back().second);
      headers.emplace_back("Content-Type", "application/json");
      all += request_text("POST", kOpenphonePath, headers, events.back().second);
    }
  }
  WireClient client = gateway().connect();
  client.send(all);
  auto event = events.begin();
  for (int i = 0; i < 20; ++i) {
    const auto response = client.read_response();
    ASSERT_TRUE(response) << i;
    EXPECT_EQ(response->status, i % 4 == 3 ? 404 : 200) << i;
    if (i % 2 != 0) continue;
    EXPECT_EQ(status_of(*response), "queued") << i;
    // The same event once more tells which one this answer was for.
    EXPECT_EQ(event_id_of(gateway().post_signed(event->first, event->second)), event_id_of(*response)) << i;
    ++event;
  }
}

TEST_F(FramingTest, OneByteAtATime) {
  const std::string id = new_event_id();
  const std::string body = message_body(id);
  Headers headers = gateway().sign(id, body);
  headers.emplace_back("Content-Type", "application/json");
  WireClient client = gateway().connect();
  ASSERT_TRUE(client.send_in_pieces(request_text("POST", kOpenphonePath, headers, body), 1));
  const auto response = client.read_response();
  ASSERT_TRUE(response);
  EXPECT_EQ(status_of(*response), "queued");
}

TEST_F(FramingTest, TruncatedBodiesAreNeverStored) {
  EXPECT_TRUE(stores_nothing([&] {
    const std::string body = message_body(new_event_id());
    // Each part is valid JSON with a valid signature, and would be an event if the missing bytes were not missed.
    const std::string longer = std::to_string(body.size() + 1);
    for (const bool reset : {false, true}) {
      for (const std::string& request : {signed_request({{"Content-Length", longer}}, body, body),
                                         chunked(body, chunk(body)), chunked(body, chunk(body) + "0\r\n")}) {
        WireClient client = gateway().connect();
        client.send(request);
        if (reset) {
          client.abort();
          continue;
        }
        client.shutdown_write();
        const std::string answer = client.read_until_close();
        EXPECT_TRUE(client.ended());
        EXPECT_EQ(answer.find("200"), std::string::npos) << answer;
      }
    }
  }));
}

TEST_F(FramingTest, KeepAliveAndClose) {
  WireClient client = gateway().connect();
  for (int i = 0; i < 3; ++i) {
    client.send(request_text("GET", "/health", {}));
    const auto response = client.read_response();
    ASSERT_TRUE(response) << i;
    EXPECT_EQ(response->status, 200);
  }
  client.send(request_text("GET", "/health", {{"Connection", "close"}}));
  ASSERT_TRUE(client.read_response());
  EXPECT_TRUE(client.closes_silently());

  WireClient old = gateway().connect();
  old.send("GET /health HTTP/1.0\r\n\r\n");
  const auto response = old.read_response();
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 200);
  EXPECT_TRUE(old.closes_silently());
}

}  // namespace
}  // namespace postern::testing
