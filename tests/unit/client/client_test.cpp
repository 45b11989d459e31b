// Calls that end well or are tried again, and how they are ended early.
#include "tests/unit/client/client_harness.h"

#include <gmock/gmock.h>

#include <atomic>
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
  for (const Headers& headers :
       {Headers{{"Host", "other"}}, Headers{{"Content-Length", "5"}}, Headers{{"a b", "c"}}, Headers{{"a", "b\r\nc: d"}},
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
