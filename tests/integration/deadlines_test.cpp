// Absolute deadlines: a client that sends slowly holds a connection no longer than one that sends nothing.
#include <gmock/gmock.h>

#include <string>

#include "tests/integration/openphone_test.h"

namespace postern::testing {
namespace {

using ::testing::AnyOf;

constexpr milliseconds kPatience{5000};  // much more than the configured deadlines, much less than the default ones

class DeadlinesTest : public OpenphoneTest {
 protected:
  GatewayOptions options() const override {
    return {.gateway = "  deadlines: {head: 300ms, body: 300ms, write: 1s, idle: 500ms}\n"};
  }

  // Either a 408 or a silent close, in time and in order.
  void expect_given_up(WireClient& client) {
    const std::string answer = client.read_until_close(kPatience);
    EXPECT_EQ(client.ending(), Ending::kClosed) << "still open";
    EXPECT_THAT(answer.substr(0, 12), AnyOf("", "HTTP/1.1 408"));
  }

  // Sends a byte every few milliseconds, until the other side ends or kPatience is over; says whether it ended.
  static bool trickle(WireClient& client, const std::string& bytes) {
    const auto deadline = Clock::now() + kPatience;
    for (size_t i = 0; Clock::now() < deadline; ++i) {
      client.send(bytes.substr(i % bytes.size(), 1));
      if (client.read_response(milliseconds(20)) || client.ended()) return true;
    }
    return false;
  }
};

TEST_F(DeadlinesTest, HalfAHead) {
  WireClient client = gateway().connect();
  client.send("POST " + std::string(kOpenphonePath) + " HTTP/1.1\r\nHost: a\r\n");
  expect_given_up(client);
}

TEST_F(DeadlinesTest, NothingAtAll) {
  WireClient client = gateway().connect();
  expect_given_up(client);
}

TEST_F(DeadlinesTest, HalfABody) {
  EXPECT_TRUE(stores_nothing([&] {
    WireClient client = gateway().connect();
    client.send(
        request_text("POST", kOpenphonePath, {{"Content-Type", "application/json"}, {"Content-Length", "100"}}) + "{");
    expect_given_up(client);
  }));
}

TEST_F(DeadlinesTest, TricklingAHeadGainsNothing) {
  WireClient client = gateway().connect();
  client.send("GET /health HTTP/1.1\r\nHost: a\r\nX: ");
  EXPECT_TRUE(trickle(client, "a"));
}

TEST_F(DeadlinesTest, TricklingABodyGainsNothing) {
  WireClient client = gateway().connect();
  client.send(
      request_text("POST", kOpenphonePath, {{"Content-Type", "application/json"}, {"Content-Length", "100000"}}));
  EXPECT_TRUE(trickle(client, " "));
}

TEST_F(DeadlinesTest, IdleConnectionsAreClosed) {
  WireClient client = gateway().connect();
  client.send(request_text("GET", "/health", {}));
  ASSERT_TRUE(client.read_response());
  EXPECT_TRUE(client.closes_silently(kPatience));
  EXPECT_EQ(client.ending(), Ending::kClosed);
}

TEST_F(DeadlinesTest, SlowClientsDoNotStopOthers) {
  std::vector<WireClient> slow;
  for (int i = 0; i < 200; ++i) {
    slow.push_back(gateway().connect());
    slow.back().send("POST / HTTP/1.1\r\n");
  }
  const std::string id = new_event_id();
  EXPECT_EQ(status_of(gateway().post_signed(id, message_body(id))), "queued");
}

// A client that asks again and again and never reads must be cut off, not buffered for.
TEST_F(DeadlinesTest, AnswersThatNobodyReadsEndTheConnection) {
  WireClient client = gateway().connect();
  std::string many;
  for (int i = 0; i < 1000; ++i) many += request_text("GET", "/api/health/", {});
  const size_t before = gateway().process().rss();
  const auto deadline = Clock::now() + std::chrono::seconds(30);
  while (Clock::now() < deadline && client.send_unread(many, kPatience)) continue;
  EXPECT_TRUE(client.ended()) << "it still takes requests, or it neither takes them nor ends";
  EXPECT_LT(gateway().process().rss(), before + (64u << 20));
}

}  // namespace
}  // namespace postern::testing
