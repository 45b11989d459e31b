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

// Whoever was told that it was the last answer, and does not go.
TEST_F(Deadlines, OfAClientThatStays) {
  timeouts_.linger = kDeadline;
  for (bool sends : {false, true}) {
    auto client = connect();
    client->send("GET /ok HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    auto start = Clock::now();
    EXPECT_EQ(client->read_answer().status, 200);
    EXPECT_TRUE(client->at_end()) << "there will be no other answer, and that can be seen at once";
    while (sends && client->send("x") == 1 && Clock::now() - start < kSoon) std::this_thread::sleep_for(milliseconds(20));
    EXPECT_TRUE(all_closed_within(kSoon));
    auto took = std::chrono::duration_cast<milliseconds>(Clock::now() - start);
    EXPECT_GE(took.count(), kDeadline - 20);
    EXPECT_LT(took, kSoon);
  }
}

// Attack: a body that comes byte by byte, where large ones need a long deadline.
TEST_F(Deadlines, OfABodyComeEarlierForOneThatIsSlow) {
  timeouts_.min_body_rate = 1000;
  timeouts_.rate_window = kDeadline;
  for (const char* kind : {"Content-Length: 1000", "Transfer-Encoding: chunked", "Expect: 100-continue\r\nContent-Length: 1000"}) {
    auto client = connect();
    client->send("POST / HTTP/1.1\r\nHost: h\r\n" + std::string(kind) + "\r\n\r\n");
    if (std::string(kind).starts_with("Expect")) {
      EXPECT_EQ(client->read_answer().status, 100);
    }
    std::string body;
    for (int i = 0; i < 200; ++i) body += "1\r\nx\r\n";
    milliseconds took = dribble(*client, body);
    EXPECT_GE(took.count(), kDeadline - 20) << kind;
    EXPECT_LT(took, kSoon) << kind;
    client->half_close();
    EXPECT_EQ(client->read_answer().status, 408) << kind;
    EXPECT_TRUE(client->at_end());
  }
  on_loop([this] { EXPECT_EQ(service_.malformed, (std::vector<int>{408, 408, 408})); });
}

// What came fast at first is no credit for later.
TEST_F(Deadlines, OfABodyAreJudgedWindowByWindow) {
  timeouts_.min_body_rate = 1000;
  timeouts_.rate_window = kDeadline;
  auto client = connect();
  client->send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n" + std::string(500'000, 'x'));
  auto start = Clock::now();
  milliseconds took = dribble(*client, std::string(500, 'x'));
  EXPECT_LT(took, kSoon);
  EXPECT_GE(Clock::now() - start, milliseconds(kDeadline - 20));
  client->half_close();
  EXPECT_EQ(client->read_answer().status, 408);
}

// Slow, but not too slow: several windows long.
TEST_F(Deadlines, OfABodyLetOneThatIsFastEnoughArrive) {
  timeouts_.min_body_rate = 100;  // 30 bytes in a window; 500 are sent
  timeouts_.rate_window = kDeadline;
  auto client = connect();
  client->send("POST /slow HTTP/1.1\r\nHost: h\r\nContent-Length: 2500\r\n\r\n");
  for (int i = 0; i < 50; ++i) {
    client->send(std::string(50, 'x'));
    ASSERT_FALSE(i < 49 && client->readable_within(30)) << client->read_answer().head;
  }
  EXPECT_EQ(client->read_answer().status, 200);
}

// A request behind others in one piece, whose body does not come.
TEST_F(Deadlines, HoldForWhatIsPipelined) {
  timeouts_.body = kDeadline;
  timeouts_.head = kDeadline;
  for (const char* last : {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 500\r\n\r\n", "GET / HTTP/1.1\r\nX: "}) {
    auto client = connect();
    std::string many;
    for (int i = 0; i < 20; ++i) many += "GET /" + std::to_string(i) + " HTTP/1.1\r\nHost: h\r\n\r\n";
    client->send(many + last);
    for (int i = 0; i < 20; ++i) EXPECT_EQ(client->read_answer().body, "/" + std::to_string(i));
    milliseconds took = dribble(*client, std::string(400, 'y'));
    EXPECT_GE(took.count(), kDeadline - 100);
    EXPECT_LT(took, kSoon);
    client->half_close();
    EXPECT_EQ(client->read_answer().status, 408) << last;
  }
}

// Attack: valid requests without end, of whose answers none is read. What waits for them is bounded, and so is the time.
TEST_F(Deadlines, EndAClientThatAsksAndNeverReads) {
  timeouts_.write = kDeadline;
  auto client = connect();
  const std::string request = "GET /" + std::string(900, 'a') + " HTTP/1.1\r\nHost: h\r\n\r\n";
  size_t taken = 0;
  auto start = Clock::now();
  while (Clock::now() - start < kSoon) {
    if (!client->writable_within(100)) {
      if (all_closed_within(milliseconds(0))) break;
      continue;
    }
    ssize_t n = ::send(client->fd(), request.data(), request.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno != EAGAIN) break;
    if (n > 0) taken += static_cast<size_t>(n);
    if (n > 0 && static_cast<size_t>(n) < request.size()) {  // the rest, so that requests stay whole
      std::string rest = request.substr(static_cast<size_t>(n));
      if (!client->writable_within(static_cast<int>(2 * kDeadline))) break;
      taken += client->send(rest);
    }
  }
  EXPECT_TRUE(all_closed_within(kSoon));
  EXPECT_LT(Clock::now() - start, kSoon);
  EXPECT_LT(taken, 8u << 20) << "no more than the buffers of both sides and what is read ahead";
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
