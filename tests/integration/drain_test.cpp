// What a stop leaves of the promises: who comes is told to come again, who waits is answered, and nobody holds the
// process up. And `wait` on a route, where the deadline passes or the handler fails.
#include <gmock/gmock.h>
#include <signal.h>

#include <stdexcept>
#include <string>

#include "tests/integration/openphone_test.h"
#include "tests/integration/probe_gateway.h"

namespace postern::testing {
namespace {

using ::testing::MatchesRegex;

constexpr milliseconds kSoon{5000};  // far less than the waits and the drain that the tests configure

// What a sender must see that comes too late.
void expect_turned_away(const Gateway& gateway, const std::string& id) {
  const Response response = gateway.post_signed(id, message_body(id));
  EXPECT_EQ(response.status, 503) << response.body;
  EXPECT_THAT(response.header("Retry-After").value_or(""), MatchesRegex("[1-9][0-9]*"));
  EXPECT_EQ(response.header("Connection").value_or(""), "close");
}

// A connection without a request yet may be closed in the moment of the stop: such a one says nothing.
bool is_stopping(const Gateway& gateway) {
  return eventually(kSoon, [&] {
    const std::string id = new_event_id();
    return gateway.post_signed(id, message_body(id)).status == 503;
  });
}

TEST(DrainTest, WhoComesWhileAHandlerRunsIsToldToRetry) {
  Gateway gateway({.dispatch = "drain: 30s", .plugins = probe_entry("wait: 20s")});
  const Barrier barrier(gateway, "barrier");
  WireClient waiting = gateway.connect();
  waiting.send(probe_request("a", "block", barrier.file()));
  ASSERT_TRUE(barrier.reached());

  gateway.process().send_signal(SIGTERM);
  const auto answer = waiting.read_response(kSoon);
  ASSERT_TRUE(answer) << "the acknowledgement that waited was forgotten\n" << gateway.log();
  EXPECT_EQ(status_of(*answer), "queued");
  EXPECT_NE(event_id_of(*answer), "");
  for (int i = 0; i < 20; ++i) expect_turned_away(gateway, new_event_id());
  EXPECT_TRUE(gateway.running()) << "it waits for the handler";

  barrier.open();
  const auto exit = gateway.process().wait(kSoon);
  ASSERT_TRUE(exit) << gateway.log();
  EXPECT_EQ(exit->code, 0) << gateway.log();
  EXPECT_EQ(gateway.store().events(), 1) << "what was turned away is not stored";
  EXPECT_EQ(gateway.store().state_of("a"), "done");
}

// Its head was admitted before the stop; its body comes after.
TEST(DrainTest, ARequestInFlightIsTaken) {
  Gateway gateway;
  const std::string id = new_event_id();
  const std::string body = message_body(id);
  Headers headers = gateway.sign(id, body);
  headers.insert(headers.end(), {{"Content-Type", "application/json"}, {"Expect", "100-continue"}});
  const std::string text = request_text("POST", kOpenphonePath, headers, body);
  WireClient slow = gateway.connect();
  slow.send(text.substr(0, text.size() - body.size()));
  const auto go_on = slow.read_response(kSoon);
  ASSERT_TRUE(go_on);
  ASSERT_EQ(go_on->status, 100);

  gateway.process().send_signal(SIGTERM);
  ASSERT_TRUE(is_stopping(gateway)) << gateway.log();
  const int64_t before = gateway.store().events();
  slow.send(body);
  const auto answer = slow.read_response(kSoon);
  ASSERT_TRUE(answer) << gateway.log();
  EXPECT_EQ(status_of(*answer), "queued");
  EXPECT_EQ(answer->header("Connection").value_or(""), "close");
  const auto exit = gateway.process().wait(kSoon);
  ASSERT_TRUE(exit) << gateway.log();
  EXPECT_EQ(exit->code, 0);
  EXPECT_EQ(gateway.store().events(), before + 1);
}

TEST(DrainTest, AHandlerThatHangsDoesNotHoldTheProcess) {
  Gateway gateway({.dispatch = "drain: 1s", .plugins = probe_entry("wait: 20s")});
  const Barrier never(gateway, "never");
  WireClient waiting = gateway.connect();
  waiting.send(probe_request("a", "block", never.file()));
  ASSERT_TRUE(never.reached());
  gateway.process().send_signal(SIGTERM);
  const auto answer = waiting.read_response(kSoon);
  ASSERT_TRUE(answer) << gateway.log();
  EXPECT_EQ(status_of(*answer), "queued");
  const auto exit = gateway.process().wait(milliseconds(1000) + kSoon);
  ASSERT_TRUE(exit) << gateway.log();
  EXPECT_EQ(exit->code, 0) << "signal " << exit->signal << "\n" << gateway.log();
  never.open();
  gateway.start();  // and what was not finished goes on
  EXPECT_TRUE(eventually(kSoon, [&] { return gateway.store().state_of("a") == "done"; })) << gateway.log();
}

TEST(RouteWaitTest, DeadlineThatPassedIsQueued) {
  Gateway gateway({.plugins = probe_entry("wait: 300ms")});
  const Barrier barrier(gateway, "barrier");
  WireClient client = gateway.connect();
  const auto begin = Clock::now();
  client.send(probe_request("a", "block", barrier.file()));
  const auto answer = client.read_response(kSoon);
  const auto took = Clock::now() - begin;
  ASSERT_TRUE(answer) << gateway.log();
  EXPECT_EQ(status_of(*answer), "queued");
  EXPECT_GE(took, milliseconds(300)) << "it did not wait";
  const std::string id = event_id_of(*answer);
  EXPECT_NE(id, "");
  barrier.open();
  EXPECT_TRUE(eventually(kSoon, [&] { return gateway.store().state_of("a") == "done"; })) << gateway.log();
  EXPECT_EQ(gateway.store().number("SELECT count(*) FROM event WHERE id = ?", {id}), 1);
}

TEST(RouteWaitTest, AHandlerThatFailsIsNotWaitedFor) {
  Gateway gateway({.plugins = probe_entry("wait: 30s")});
  WireClient client = gateway.connect();
  client.send(probe_request("a", "dead"));
  const auto answer = client.read_response(kSoon);
  ASSERT_TRUE(answer) << gateway.log();
  EXPECT_EQ(status_of(*answer), "queued");
  EXPECT_NE(event_id_of(*answer), "");
  EXPECT_TRUE(eventually(kSoon, [&] { return gateway.store().state_of("a") == "dead"; }));
}

}  // namespace
}  // namespace postern::testing
