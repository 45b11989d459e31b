// Handlers that call the outside: their deliveries end as the answer says, an ill upstream shows in `postern status`, and a stop waits for
// nobody who does not answer.
#include <gmock/gmock.h>
#include <signal.h>

#include <atomic>
#include <string>

#include "tests/integration/openphone_test.h"
#include "tests/integration/probe_gateway.h"
#include "tests/support/places.h"
#include "tests/support/upstream_server.h"

namespace postern::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr milliseconds kSoon{5000};

std::string probe_calling(const UpstreamServer& upstream) {
  return "  - {name: probe, library: " + probe_library() + ", config: {upstream: \"" + upstream.url() +
         "\"}, routes: {/probe: {wait: 5s}}}\n";
}

std::string calling(const std::string& id, const std::string& what, const std::string& url) {
  const nlohmann::json body = {{"id", id}, {"type", "test"}, {"do", what}, {"url", url}};
  return request_text("POST", "/probe", {{"Content-Type", "application/json"}}, body.dump());
}

std::optional<Response> ask(const Gateway& gateway, const std::string& request, milliseconds timeout = kSoon * 2) {
  WireClient client = gateway.connect();
  client.send(request);
  return client.read_response(timeout);
}

nlohmann::json upstream_status(const Gateway& gateway) {
  return nlohmann::json::parse(gateway.command({"status", "--json"}).out).at("upstreams").at(0);
}

TEST(OutboundTest, TheAnswerIsTheDeliverysResult) {
  UpstreamServer upstream([](Conversation& c) { c.answer(200, R"({"target":")" + c.request.target + "\"}"); });
  Gateway gateway({.plugins = probe_calling(upstream)});
  for (const char* what : {"call", "call_later"}) {
    auto answer = ask(gateway, calling(what, what, "/a?b=1"));
    ASSERT_TRUE(answer) << gateway.log();
    EXPECT_EQ(status_of(*answer), "processed") << what << gateway.log();
    EXPECT_THAT(answer->body, HasSubstr("/a?b=1"));
  }
  auto status = upstream_status(gateway);
  EXPECT_EQ(status["plugin"], "probe");
  EXPECT_EQ(status["upstream"], "outside");
  EXPECT_EQ(status["requests"], 2);
  EXPECT_EQ(status["ended"]["ok"], 2);
  EXPECT_EQ(status["breaker"], "closed");
  EXPECT_TRUE(status["last_error"].is_null());
  EXPECT_THAT(upstream.faults(), ::testing::IsEmpty());
}

TEST(OutboundTest, A4xxKillsAndA5xxRetries) {
  UpstreamServer upstream([](Conversation& c) { c.answer(c.request.target == "/gone" ? 410 : c.request.number > 2 ? 200 : 503, "{}"); });
  Gateway gateway({.dispatch = "retry: {base: 50ms, jitter: 0}", .plugins = probe_calling(upstream)});
  ask(gateway, calling("a", "call", "/gone"));
  EXPECT_TRUE(eventually(kSoon, [&] { return gateway.store().state_of("a") == "dead"; })) << gateway.log();
  ask(gateway, calling("b", "call", "/ill?token=hidden"));
  EXPECT_TRUE(eventually(kSoon, [&] { return gateway.store().state_of("b") == "done"; })) << gateway.log();
  EXPECT_THAT(gateway.log(), Not(HasSubstr("hidden")));
}

TEST(OutboundTest, AnIllUpstreamShowsAndIsLeftAlone) {
  UpstreamServer upstream([](Conversation& c) { c.answer(500); });
  Gateway gateway(
      {.dispatch = "retry: {base: 20ms, jitter: 0, attempts: 4}, breaker: {failures: 1000}", .plugins = probe_calling(upstream)});
  ask(gateway, calling("a", "call", "/"));
  ASSERT_TRUE(eventually(kSoon, [&] { return upstream_status(gateway)["breaker"] == "open"; })) << gateway.log();
  auto status = upstream_status(gateway);
  EXPECT_EQ(status["opens"], 1);
  EXPECT_EQ(status["failures"], 3);
  EXPECT_THAT(status["last_error"].get<std::string>(), HasSubstr("answered 500"));
  EXPECT_EQ(upstream.requests().size(), 3u);
  EXPECT_THAT(gateway.command({"status"}).out, HasSubstr("outside"));
}

// The handler waits, or its delivery is pending: the upstream that never answers holds nobody up, and the work goes on at the next start.
TEST(OutboundTest, AStopWaitsForNobodyWhoDoesNotAnswer) {
  std::atomic<bool> answers{false};
  UpstreamServer upstream([&](Conversation& c) { answers ? c.answer(200, "{}") : c.hold(); });
  Gateway gateway({.dispatch = "drain: 1s, retry: {base: 50ms}", .plugins = probe_calling(upstream)});
  for (const char* what : {"call", "call_later"}) gateway.connect().send(calling(what, what, "/"));
  ASSERT_TRUE(eventually(kSoon, [&] { return upstream.requests().size() == 2; })) << gateway.log();
  gateway.process().send_signal(SIGTERM);
  const auto exit = gateway.process().wait(milliseconds(1000) + kSoon);
  ASSERT_TRUE(exit) << gateway.log();
  EXPECT_EQ(exit->code, 0) << gateway.log();
  EXPECT_THAT(gateway.log(), Not(HasSubstr("did not come back")));
  answers = true;
  gateway.start();
  for (const char* id : {"call", "call_later"}) {
    EXPECT_TRUE(eventually(kSoon, [&] { return gateway.store().state_of(id) == "done"; })) << id << gateway.log();
  }
}

}  // namespace
}  // namespace postern::testing
