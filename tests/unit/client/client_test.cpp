#include "tests/unit/client/client_harness.h"

#include <gmock/gmock.h>

#include <atomic>
#include <fstream>
#include <thread>

namespace postern::client {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST_F(ClientTest, AnAnswerComesWhole) {
  serve([](Conversation& c) { c.answer(201, "made", "X-One: 1\r\nX-Two: a\r\nX-Two: b\r\n"); });
  Request request;
  request.method = "POST";
  request.url = "/v1/things?token=hidden";
  request.headers = {{"Authorization", "Bearer s3cret"}, {"Content-Type", "application/json"}, {"X-Empty", ""}};
  request.body = R"({"a":1})";
  auto api = add(quick());
  Outcome answer = client_->call(api, request);
  EXPECT_EQ(answer.kind, Kind::kOk);
  EXPECT_EQ(answer.verdict(), Outcome::Verdict::kDone);
  EXPECT_EQ(answer.status, 201);
  EXPECT_EQ(answer.body, "made");
  EXPECT_EQ(answer.attempts, 1u);
  EXPECT_EQ(answer.error, "");
  ASSERT_NE(answer.header("x-two", 1), nullptr);
  EXPECT_EQ(*answer.header("x-two", 1), "b");
  EXPECT_EQ(answer.header("x-two", 2), nullptr);
  auto seen = server_->requests().at(0);
  EXPECT_EQ(seen.method, "POST");
  EXPECT_EQ(seen.target, "/v1/things?token=hidden");
  EXPECT_EQ(seen.body, R"({"a":1})");
  EXPECT_EQ(seen.header("Authorization"), "Bearer s3cret");
  EXPECT_EQ(seen.header("Content-Type"), "application/json");
  EXPECT_THAT(seen.header("User-Agent"), HasSubstr("postern/"));
  EXPECT_EQ(seen.header("Idempotency-Key").size(), 36u);
  EXPECT_EQ(seen.header("Cookie"), "");
}

TEST_F(ClientTest, MethodsGoOutAsTheyAre) {
  serve([](Conversation& c) { c.answer(200, "x"); });
  auto api = add(quick());
  for (const char* method : {"GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "POST"}) {
    Request request;
    request.method = method;
    request.url = "/";
    EXPECT_EQ(client_->call(api, request).kind, Kind::kOk) << method;
    EXPECT_EQ(server_->requests().back().method, method);
    EXPECT_EQ(server_->requests().back().header("Content-Type"), "") << method;
  }
}

TEST_F(ClientTest, A500IsTriedAgainWithTheSameKey) {
  serve([](Conversation& c) { c.answer(c.request.number < 3 ? 500 : 200, "x"); });
  Request request;
  request.method = "POST";
  request.url = "/";
  auto api = add(quick());
  Outcome answer = client_->call(api, request);
  EXPECT_EQ(answer.kind, Kind::kOk);
  EXPECT_EQ(answer.attempts, 3u);
  auto seen = server_->requests();
  ASSERT_EQ(seen.size(), 3u);
  EXPECT_EQ(seen[0].header("Idempotency-Key"), seen[2].header("Idempotency-Key"));
  client_->call(api, request);
  EXPECT_NE(server_->requests().at(3).header("Idempotency-Key"), seen[0].header("Idempotency-Key"));
  request.idempotency_key = "dlv_7";
  client_->call(api, request);
  EXPECT_EQ(server_->requests().at(4).header("Idempotency-Key"), "dlv_7");
  EXPECT_EQ(status().retries, 2u);
  EXPECT_EQ(status().ended[static_cast<size_t>(Kind::kOk)], 3u);
}

TEST_F(ClientTest, AfterTheLastAttemptTheAnswerIsThatOne) {
  serve([](Conversation& c) { c.answer(503, "later"); });
  Outcome answer = get(add(quick()), "/a?secret=1");
  EXPECT_EQ(answer.kind, Kind::kFailed);
  EXPECT_EQ(answer.verdict(), Outcome::Verdict::kRetry);
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.body, "later");
  EXPECT_EQ(answer.attempts, 3u);
  EXPECT_THAT(answer.error, HasSubstr("/a: answered 503"));
  EXPECT_THAT(answer.error, Not(HasSubstr("secret")));
  EXPECT_THAT(status().last_error, Not(HasSubstr("secret")));
}

TEST_F(ClientTest, A4xxIsNotTriedAgain) {
  serve([](Conversation& c) { c.answer(422, "no"); });
  auto api = add(quick());
  Outcome answer = get(api);
  EXPECT_EQ(answer.kind, Kind::kRejected);
  EXPECT_EQ(answer.verdict(), Outcome::Verdict::kDead);
  EXPECT_EQ(answer.attempts, 1u);
  EXPECT_EQ(status().failures, 0u);
}

TEST_F(ClientTest, TooManyRequestsWaitsAsLongAsTold) {
  serve([](Conversation& c) { c.request.number == 1 ? c.answer(429, "", "Retry-After: 1\r\n") : c.answer(200); });
  int64_t began = steady_ms();
  Outcome answer = get(add(quick()));
  EXPECT_EQ(answer.kind, Kind::kOk);
  EXPECT_EQ(answer.attempts, 2u);
  EXPECT_GE(steady_ms() - began, 1000);
}

TEST_F(ClientTest, ARetryAfterThatDoesNotFitEndsWithTheAnswer) {
  serve([](Conversation& c) { c.answer(429, "slow down", "Retry-After: 999999999\r\n"); });
  int64_t began = steady_ms();
  Outcome answer = get(add(quick()));
  EXPECT_LT(steady_ms() - began, 2000);
  EXPECT_EQ(answer.kind, Kind::kFailed);
  EXPECT_EQ(answer.status, 429);
  EXPECT_EQ(answer.body, "slow down");
  EXPECT_EQ(answer.attempts, 1u);
  EXPECT_EQ(answer.retry_after_ms, 24 * 3600 * 1000);
}

TEST_F(ClientTest, ARetryAfterThatIsGarbageIsNone) {
  serve([](Conversation& c) { c.request.number == 1 ? c.answer(503, "", "Retry-After: soon\r\n") : c.answer(200); });
  Outcome answer = get(add(quick()));
  EXPECT_EQ(answer.kind, Kind::kOk);
  EXPECT_EQ(answer.attempts, 2u);
}

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
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
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

TEST_F(ClientTest, ConnectionsArePooled) {
  serve([](Conversation& c) { c.answer(200, "x"); });
  auto api = add(quick());
  for (int i = 0; i < 50; ++i) ASSERT_EQ(get(api).kind, Kind::kOk);
  EXPECT_EQ(server_->connections(), 1u);
}

TEST_F(ClientTest, APooledConnectionThatTheServerClosedIsReplaced) {
  serve([](Conversation& c) {
    c.answer(200, "x");
    c.close();
  });
  auto api = add(quick());
  for (int i = 0; i < 10; ++i) ASSERT_EQ(get(api).kind, Kind::kOk);
}

TEST_F(ClientTest, ManyAtOnceStayWithinTheBounds) {
  std::atomic<int> inside{0}, most{0};
  serve([&](Conversation& c) {
    int now = ++inside;
    for (int seen = most; now > seen && !most.compare_exchange_weak(seen, now);) {
    }
    std::this_thread::sleep_for(milliseconds(2));
    --inside;
    c.answer(200, c.request.target);
  });
  Upstream upstream = quick();
  upstream.max_in_flight = 4;
  upstream.max_waiting = 1000;
  upstream.deadline_ms = 60'000;
  auto api = add(upstream);
  std::atomic<int> right{0}, ended{0};
  for (int i = 0; i < 500; ++i) {
    Request request;
    request.url = "/" + std::to_string(i);
    auto taken = client_->submit(api, request, [&, url = request.url](Outcome outcome) {
      right += outcome.body == url ? 1 : 0;
      ++ended;
    });
    ASSERT_TRUE(taken) << taken.status().message();
  }
  EXPECT_TRUE(eventually(milliseconds(60'000), [&] { return ended == 500; }));
  EXPECT_EQ(right, 500);
  EXPECT_LE(most, 4);
  EXPECT_LE(server_->connections(), 4u);
  EXPECT_EQ(status().in_flight + status().waiting, 0u);
}

TEST_F(ClientTest, MoreThanTheBoundsAreRefused) {
  serve([](Conversation& c) { c.hold(); });
  Upstream upstream = quick();
  upstream.max_in_flight = 2;
  upstream.max_waiting = 3;
  auto api = add(upstream);
  std::atomic<int> ended{0};
  Request request;
  request.url = "/";
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(client_->submit(api, request, [&](Outcome) { ++ended; }));
  auto sixth = client_->submit(api, request, [&](Outcome) { FAIL(); });
  EXPECT_EQ(sixth.status().code(), Code::kLimit);
  Outcome busy = client_->call(api, request);
  EXPECT_EQ(busy.kind, Kind::kBusy);
  EXPECT_EQ(busy.verdict(), Outcome::Verdict::kRetry);
  EXPECT_TRUE(eventually(milliseconds(5000), [&] { return status().in_flight == 2 && status().waiting == 3; }));
  client_->stop();
  EXPECT_EQ(ended, 5);
  EXPECT_EQ(status().in_flight + status().waiting, 0u);
  EXPECT_EQ(client_->submit(api, request, [](Outcome) { FAIL(); }).status().code(), Code::kGone);
}

TEST_F(ClientTest, TooManyBytesAreRefused) {
  serve([](Conversation& c) { c.hold(); });
  Client::Options options;
  options.max_request_bytes = 1000;
  start(options);
  auto api = add(quick());
  Request request;
  request.method = "POST";
  request.url = "/";
  request.body = std::string(600, 'x');
  ASSERT_TRUE(client_->submit(api, request, [](Outcome) {}));
  EXPECT_EQ(client_->submit(api, request, [](Outcome) {}).status().code(), Code::kLimit);
  request.body.resize(Client::kMaxBody + 1);
  EXPECT_EQ(client_->submit(api, request, [](Outcome) {}).status().code(), Code::kInvalid);
}

TEST_F(ClientTest, OneThatWaitsForRoomEndsWithItsDeadline) {
  serve([](Conversation& c) { c.hold(); });
  Upstream upstream = quick();
  upstream.max_in_flight = 1;
  auto api = add(upstream);
  Request request;
  request.url = "/";
  ASSERT_TRUE(client_->submit(api, request, [](Outcome) {}));
  request.deadline_ms = 100;
  Outcome second = client_->call(api, request);
  EXPECT_EQ(second.kind, Kind::kTimeout);
  EXPECT_EQ(second.attempts, 0u);
  EXPECT_THAT(second.error, HasSubstr("no room"));
}

TEST_F(ClientTest, ACancelledRequestEndsAtOnce) {
  serve([](Conversation& c) { c.hold(); });
  auto api = add(quick());
  std::atomic<bool> cancelled{false};
  Request request;
  request.url = "/";
  auto id = client_->submit(api, request, [&](Outcome outcome) { cancelled = outcome.kind == Kind::kCancelled; });
  ASSERT_TRUE(id);
  ASSERT_TRUE(eventually(milliseconds(5000), [&] { return server_->requests().size() == 1; }));
  client_->cancel(*id);
  client_->cancel(*id);
  client_->cancel(999);
  EXPECT_TRUE(eventually(milliseconds(2000), [&] { return cancelled.load(); }));
  EXPECT_EQ(status().failures, 0u) << "it says nothing about the upstream";
  EXPECT_EQ(status().last_error, "");
}

TEST_F(ClientTest, AStopEndsWhatIsOut) {
  serve([](Conversation& c) { c.hold(); });
  auto api = add(quick());
  std::thread caller([&] { EXPECT_EQ(get(api).kind, Kind::kCancelled); });
  ASSERT_TRUE(eventually(milliseconds(5000), [&] { return server_->requests().size() == 1; }));
  int64_t began = steady_ms();
  client_->stop();
  caller.join();
  EXPECT_LT(steady_ms() - began, 1500);
}

TEST_F(ClientTest, ADrainEndsEverythingInTime) {
  serve([](Conversation& c) { c.hold(); });
  Upstream upstream = quick();
  upstream.attempt_ms = upstream.deadline_ms = 60'000;
  auto api = add(upstream);
  std::thread early([&] { EXPECT_EQ(get(api).kind, Kind::kTimeout); });
  ASSERT_TRUE(eventually(milliseconds(5000), [&] { return server_->requests().size() == 1; }));
  int64_t began = steady_ms();
  client_->end_within(200);
  EXPECT_EQ(get(api).kind, Kind::kTimeout);
  early.join();
  EXPECT_LT(steady_ms() - began, 3000);
}

TEST_F(ClientTest, RequestsThatCannotBeSentAreRefused) {
  auto api = add([&] {
    Upstream upstream = quick();
    upstream.base_url = "http://127.0.0.1:1";
    return upstream;
  }());
  auto refused = [&](Request request) { return client_->call(api, std::move(request)); };
  Request fine;
  fine.url = "/";
  for (const Headers& headers : {Headers{{"Host", "other"}}, Headers{{"Content-Length", "5"}}, Headers{{"a b", "c"}}, Headers{{"a", "b\r\nc: d"}},
                                 Headers{{"", "x"}}, Headers{{"x", std::string(40'000, 'x')}}, Headers(101, {"x", "y"})}) {
    Request request = fine;
    request.headers = headers;
    EXPECT_EQ(refused(request).kind, Kind::kRefused) << headers[0].first;
  }
  for (const char* method : {"", "GE T", "GET\r\n", "CONNECT", "TRACE"}) {
    Request request = fine;
    request.method = method;
    EXPECT_EQ(refused(request).kind, Kind::kRefused) << method;
  }
  Request request = fine;
  request.idempotency_key = "a\nb";
  EXPECT_EQ(refused(request).kind, Kind::kRefused);
  EXPECT_EQ(status().requests, 0u);
  EXPECT_EQ(status().ended[static_cast<size_t>(Kind::kRefused)], 13u);
}

TEST_F(ClientTest, BeforeItRunsNothingIsTakenOn) {
  Client client;
  Upstream upstream = quick();
  upstream.base_url = "http://127.0.0.1:1";
  auto api = client.add_upstream(upstream);
  ASSERT_TRUE(api);
  Request request;
  request.url = "/";
  EXPECT_EQ(client.submit(*api, request, [](Outcome) {}).status().code(), Code::kUnavailable);
  EXPECT_EQ(client.submit(7, request, [](Outcome) {}).status().code(), Code::kInvalid);
}

}  // namespace
}  // namespace postern::client
