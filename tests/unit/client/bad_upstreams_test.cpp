// Upstreams that do not answer, or answer what nobody should read.
#include "tests/unit/client/client_harness.h"

#include <gmock/gmock.h>

#include <fstream>
#include <string>
#include <thread>

#include "tests/support/sanitizer.h"

namespace postern::client {
namespace {

using ::testing::HasSubstr;

TEST_F(ClientTest, NobodyListens) {
  uint16_t port = UpstreamServer([](Conversation&) {}).port();
  Upstream upstream = quick();
  upstream.base_url = "http://127.0.0.1:" + std::to_string(port);
  Outcome answer = get(add(upstream));
  EXPECT_EQ(answer.kind, Kind::kConnect);
  EXPECT_EQ(answer.attempts, 3u);
  EXPECT_EQ(answer.status, 0);
}

TEST_F(ClientTest, ANameThatDoesNotResolve) {
  Upstream upstream = quick();
  upstream.base_url = "http://nobody.invalid";
  upstream.attempts = 1;
  EXPECT_EQ(get(add(upstream)).kind, Kind::kConnect);
}

TEST_F(ClientTest, AnUpstreamThatNeverAnswersEndsWithTheAttempt) {
  serve([](Conversation& c) { c.hold(); });
  Upstream upstream = quick();
  upstream.attempt_ms = 100;
  upstream.attempts = 2;
  int64_t began = steady_ms();
  Outcome answer = get(add(upstream));
  EXPECT_EQ(answer.kind, Kind::kTimeout);
  EXPECT_EQ(answer.attempts, 2u);
  EXPECT_GE(steady_ms() - began, 200);
  EXPECT_LT(steady_ms() - began, 3000);
}

TEST_F(ClientTest, TheDeadlineIsOverAllAttempts) {
  serve([](Conversation& c) { c.hold(); });
  Upstream upstream = quick();
  upstream.attempt_ms = 150;
  upstream.attempts = 100;
  upstream.deadline_ms = 500;
  int64_t began = steady_ms();
  Outcome answer = get(add(upstream));
  EXPECT_EQ(answer.kind, Kind::kTimeout);
  EXPECT_GE(answer.attempts, 2u);
  EXPECT_LT(steady_ms() - began, 2500);
}

TEST_F(ClientTest, ATricklingAnswerEndsWithTheAttempt) {
  serve([](Conversation& c) {
    c.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
    while (c.send("x")) std::this_thread::sleep_for(milliseconds(10));
  });
  Upstream upstream = quick();
  upstream.attempt_ms = 200;
  upstream.attempts = 1;
  int64_t began = steady_ms();
  EXPECT_EQ(get(add(upstream)).kind, Kind::kTimeout);
  EXPECT_LT(steady_ms() - began, 3000);
}

long resident_kib() {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("VmHWM:")) return std::stol(line.substr(6));
  }
  return 0;
}

TEST_F(ClientTest, AnAnswerOfAGigabyteIsCutOff) {
  constexpr uint64_t kGigabyte = 1ull << 30;
  serve([](Conversation& c) {
    c.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(kGigabyte) + "\r\n\r\n");
    std::string block(1 << 20, 'x');
    for (uint64_t i = 0; i < kGigabyte / block.size() && c.send(block); ++i) {
    }
  });
  long before = resident_kib();
  Outcome answer = get(add(quick()));
  EXPECT_EQ(answer.kind, Kind::kTooLarge);
  EXPECT_EQ(answer.verdict(), Outcome::Verdict::kDead);
  EXPECT_EQ(answer.attempts, 1u);
  EXPECT_TRUE(answer.body.empty());
  EXPECT_THAT(answer.error, HasSubstr("over 1048576 bytes"));
  EXPECT_LT(server_->bytes_sent(), 64u << 20) << "it must be cut off, not read and thrown away";
#if !POSTERN_ASAN && !POSTERN_TSAN
  EXPECT_LT(resident_kib() - before, 16 * 1024);
#else
  static_cast<void>(before);
#endif
}

TEST_F(ClientTest, HeadersWithoutEndAreCutOff) {
  serve([](Conversation& c) {
    c.send("HTTP/1.1 200 OK\r\n");
    while (c.send("X-More: " + std::string(1000, 'y') + "\r\n")) {
    }
  });
  Outcome answer = get(add(quick()));
  EXPECT_EQ(answer.kind, Kind::kTooLarge);
  EXPECT_THAT(answer.error, HasSubstr("headers"));
}

TEST_F(ClientTest, InterimAnswersWithoutEndAreCutOff) {
  serve([](Conversation& c) {
    while (c.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")) {
    }
  });
  EXPECT_EQ(get(add(quick())).kind, Kind::kTooLarge);
}

TEST_F(ClientTest, ALargeAnswerOfABadServerMayPass) {
  serve([](Conversation& c) { c.request.number == 1 ? c.answer(500, std::string(2 << 20, 'x')) : c.answer(200); });
  EXPECT_EQ(get(add(quick())).kind, Kind::kOk);
}

TEST_F(ClientTest, AnAnswerThatBreaksOffIsTriedAgain) {
  serve([](Conversation& c) {
    if (c.request.number > 1) return c.answer(200, "whole");
    c.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
    c.close();
  });
  Outcome answer = get(add(quick()));
  EXPECT_EQ(answer.body, "whole");
  EXPECT_EQ(answer.attempts, 2u);
}

TEST_F(ClientTest, WhatIsNoHttpIsBroken) {
  serve([](Conversation& c) {
    c.send("220 mail.example.com ESMTP\r\n\r\n");
    c.close();
  });
  Upstream upstream = quick();
  upstream.attempts = 1;
  EXPECT_EQ(get(add(upstream)).kind, Kind::kBroken);
}

}  // namespace
}  // namespace postern::client
