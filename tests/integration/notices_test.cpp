// What the gateway tells of itself as events, through the daemon. When it does so is tested in tests/unit/gateway/notices_test.cpp.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "tests/integration/probe_gateway.h"
#include "tests/support/places.h"

namespace postern::testing {
namespace {

constexpr milliseconds kSoon{30'000};

TEST(NoticesTest, ABreakerThatOpensIsAnEventForWhoeverSubscribes) {
  const std::string probe = "  - {name: probe, library: " + probe_library() + ", config: {watch: 'postern.breaker.*'}}\n";
  Gateway gateway({.dispatch = "retry: {attempts: 9, base: 10m}, breaker: {failures: 2, open_for: 10m}", .plugins = probe});
  for (const char* id : {"a", "b"}) {
    const nlohmann::json body = {{"id", id}, {"type", "test"}, {"do", "retry"}};
    ASSERT_EQ(gateway.request("POST", "/probe", {{"Content-Type", "application/json"}}, body.dump()).status, 200);
  }
  ASSERT_TRUE(eventually(kSoon, [&] {
    return gateway.store().number("SELECT count(*) FROM delivery WHERE subscriber = 'watch' AND state = 'done'") == 1;
  })) << gateway.log();
  const auto events = gateway.store().rows("SELECT provider, body FROM event WHERE type = 'postern.breaker.opened'");
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0][0], "postern");
  const auto body = nlohmann::json::parse(events[0][1]);
  EXPECT_EQ(body["plugin"], "probe");
  EXPECT_EQ(body["subscriber"], "handlers");
  EXPECT_EQ(body["failures"], 2);
  EXPECT_EQ(gateway.stop().code, 0) << gateway.log();
}

}  // namespace
}  // namespace postern::testing
