// Connections are shared, and requests, bytes and waits are bounded.
#include "tests/unit/client/client_harness.h"

#include <gmock/gmock.h>

#include <atomic>
#include <thread>
#include <vector>

namespace postern::client {
namespace {

using ::testing::HasSubstr;

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

}  // namespace
}  // namespace postern::client
