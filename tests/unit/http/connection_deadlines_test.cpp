// The absolute deadlines of a connection. They are short here; what is asserted is that they come, never early, and that bytes which
// dribble in (or out) do not move them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/http/connection_harness.h"

namespace postern::http::testing {
namespace {

constexpr int64_t kDeadline = 300;
constexpr milliseconds kSoon(5000);  // much later than the deadline, much sooner than the dribbling would end

class Deadlines : public ConnectionTest {
 protected:
  // Sends a byte every 20 ms until there is an answer or an end. Returns how long that took.
  static milliseconds dribble(Client& client, const std::string& bytes) {
    auto start = Clock::now();
    for (char byte : bytes) {
      if (client.readable_within(20)) break;
      client.send({&byte, 1});
    }
    client.readable_within(10'000);
    return std::chrono::duration_cast<milliseconds>(Clock::now() - start);
  }
};

TEST_F(Deadlines, OfAHeadAreNotMovedByDribbling) {
  timeouts_.head = kDeadline;
  auto client = connect();
  milliseconds took = dribble(*client, "GET /" + std::string(1000, 'x'));
  EXPECT_GE(took.count(), kDeadline - 20);
  EXPECT_LT(took, kSoon);
  client->half_close();
  Client::Answer answer = client->read_answer();
  EXPECT_EQ(answer.status, 408);
  EXPECT_TRUE(answer.has("Connection: close\r\n"));
  EXPECT_TRUE(client->at_end());
}

// Headers that come line by line are progress too, and no excuse.
TEST_F(Deadlines, OfAHeadHoldForEachRequestAnew) {
  timeouts_.head = kDeadline;
  auto client = connect();
  for (int i = 0; i < 3; ++i) {
    client->send("GET /ok HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_EQ(client->read_answer().status, 200);
    client->readable_within(static_cast<int>(kDeadline / 2));  // idle for a while: that is not the head's time
  }
  milliseconds took = dribble(*client, "GET / HTTP/1.1\r\n" + std::string(400, 'h'));
  EXPECT_GE(took.count(), kDeadline - 20);
  EXPECT_LT(took, kSoon);
  client->half_close();
  EXPECT_EQ(client->read_answer().status, 408);
}

TEST_F(Deadlines, OfABodyAreNotMovedByDribbling) {
  timeouts_.body = kDeadline;
  for (const char* kind : {"Content-Length: 1000", "Transfer-Encoding: chunked"}) {
    auto client = connect();
    client->send("POST / HTTP/1.1\r\nHost: h\r\n" + std::string(kind) + "\r\n\r\n");
    std::string body;
    for (int i = 0; i < 200; ++i) body += "1\r\nx\r\n";
    milliseconds took = dribble(*client, body);
    EXPECT_GE(took.count(), kDeadline - 20);
    EXPECT_LT(took, kSoon);
    client->half_close();
    EXPECT_EQ(client->read_answer().status, 408) << kind;
    EXPECT_TRUE(client->at_end());
  }
}

TEST_F(Deadlines, OfAConnectionThatSaysNothing) {
  timeouts_.head = kDeadline;
  auto client = connect();
  auto start = Clock::now();
  EXPECT_TRUE(client->at_end()) << "nobody asked anything: there is nothing to answer";
  EXPECT_GE(Clock::now() - start, milliseconds(kDeadline - 20));
  EXPECT_LT(Clock::now() - start, kSoon);
}

TEST_F(Deadlines, BetweenRequests) {
  timeouts_.idle = kDeadline;
  auto client = connect();
  client->send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(client->read_answer().status, 200);
  auto start = Clock::now();
  EXPECT_TRUE(client->at_end());
  EXPECT_GE(Clock::now() - start, milliseconds(kDeadline - 20));
  EXPECT_LT(Clock::now() - start, kSoon);
}

// Attack: a line end now and then, which begins no request.
TEST_F(Deadlines, BetweenRequestsAreNotMovedByLineEnds) {
  timeouts_.idle = kDeadline;
  auto client = connect();
  client->send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(client->read_answer().status, 200);
  EXPECT_LT(dribble(*client, "\r\n\r\n\r\n" + std::string(500, '\n')), kSoon);
}

TEST_F(Deadlines, DoNotHoldWhileAnAnswerIsMade) {
  timeouts_ = {kDeadline, kDeadline, kDeadline, kDeadline};
  keep_requests();
  auto client = connect();
  client->send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  wait_for_request();
  EXPECT_FALSE(client->readable_within(static_cast<int>(3 * kDeadline))) << "it was given up";
  answer_kept(Response::json(200, "late"));
  EXPECT_EQ(client->read_answer().body, "late");
}

// Attack: a client that asks for much and reads little holds our memory.
TEST_F(Deadlines, OfAnAnswerAreNotMovedByDribbling) {
  timeouts_.write = kDeadline;
  keep_requests();
  auto client = connect();
  client->send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  wait_for_request();
  auto start = Clock::now();
  answer_kept(Response::json(200, std::string(32 << 20, 'x')));
  char some[512];
  bool closed = false;
  for (int i = 0; i < 250 && !closed; ++i) {
    ASSERT_GT(::recv(client->fd(), some, sizeof some, 0), 0);
    closed = all_closed_within(milliseconds(20));
  }
  EXPECT_TRUE(closed);
  EXPECT_GE(Clock::now() - start, milliseconds(kDeadline - 20));
  EXPECT_LT(Clock::now() - start, kSoon);
}

TEST_F(Deadlines, OfAnAnswerThatIsTakenInTimeDoNotStay) {
  timeouts_.write = 1000;  // enough for a megabyte on a busy machine
  keep_requests();
  auto client = connect();
  client->send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  wait_for_request();
  answer_kept(Response::json(200, std::string(1 << 20, 'x')));
  EXPECT_EQ(client->read_answer().body.size(), 1u << 20);
  EXPECT_FALSE(client->readable_within(1500)) << "the deadline outlived its answer";
}

}  // namespace
}  // namespace postern::http::testing
