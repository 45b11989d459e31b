// Deliveries that must not die in silence: event types that the operator marks as critical.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "tests/integration/probe_gateway.h"
#include "tests/support/places.h"

namespace postern::testing {
namespace {

constexpr milliseconds kSoon{20000};

GatewayOptions with_alert() {
  const std::string probe = "{name: probe, library: " + probe_library();
  return {.dispatch = "retry: {attempts: 2, base: 50ms, factor: 1, jitter: 0}",
          .plugins = "  - " + probe + ", events: {payment.*: {critical: true}, payment.test: {critical: false}}}\n",
          .subscriptions = "  - {on: postern.delivery.dead, plugin: probe, with: {into: alerts}}\n"};
}

void post(const Gateway& gateway, const std::string& id, const std::string& type, const std::string& what) {
  const std::string body = R"({"id":")" + id + R"(","type":")" + type + R"(","do":")" + what + "\"}";
  EXPECT_EQ(gateway.request("POST", "/probe", {{"Content-Type", "application/json"}}, body).status, 200);
}

TEST(CriticalTest, ADeathBecomesAnEventForWhoeverSubscribes) {
  Gateway gateway(with_alert());
  post(gateway, "lost", "payment.received", "retry");
  const StoreReader store = gateway.store();
  constexpr const char* kNotices = "SELECT count(*) FROM event WHERE type = 'postern.delivery.dead'";
  ASSERT_TRUE(eventually(kSoon, [&] { return store.number(kNotices) == 1; })) << gateway.log();
  const auto rows = store.rows("SELECT body, provider FROM event WHERE type = 'postern.delivery.dead'");
  const auto notice = nlohmann::json::parse(rows.at(0)[0]);
  EXPECT_EQ(rows[0][1], "postern");
  EXPECT_EQ(notice.at("type"), "probe.payment.received");
  EXPECT_EQ(notice.at("external_id"), "lost");
  EXPECT_EQ(notice.at("attempts"), 2);
  EXPECT_EQ(notice.at("last_error"), "asked to retry");
  EXPECT_TRUE(eventually(kSoon, [&] { return store.number("SELECT count(*) FROM record WHERE key = 'alerts'") == 1; }));
}

TEST(CriticalTest, OthersDieWithoutOne) {
  Gateway gateway(with_alert());
  post(gateway, "a", "invoice.sent", "dead");
  post(gateway, "b", "payment.test", "dead");
  post(gateway, "c", "payment.received", "done");
  const StoreReader store = gateway.store();
  ASSERT_TRUE(eventually(kSoon, [&] { return store.deliveries("dead") == 2 && store.deliveries("done") == 1; })) << gateway.log();
  EXPECT_EQ(store.events(), 3);
}

}  // namespace
}  // namespace postern::testing
