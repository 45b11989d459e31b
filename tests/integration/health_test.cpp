// What /api/health/ says of the gateway itself while deliveries wait or fail; and a full backlog, from the first refusal to the last
// delivery.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "tests/integration/probe_gateway.h"

namespace postern::testing {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr milliseconds kSoon(20'000);

GatewayOptions with_health(const std::string& health, const std::string& dispatch, bool details = true) {
  return {.admin = details ? "allow_details: [127.0.0.1/32]" : "", .dispatch = dispatch, .health = health, .plugins = probe_entry()};
}

int post(const Gateway& gateway, const std::string& request) {
  WireClient client = gateway.connect();
  client.send(request);
  const auto response = client.read_response();
  return response ? response->status : 0;
}

json health_of(const Gateway& gateway, const std::string& name = "") {
  return json::parse(gateway.request("GET", "/api/health/" + name).body);
}

bool overall_comes_to(const Gateway& gateway, const std::string& status) {
  return eventually(kSoon, [&] { return health_of(gateway)["overall_status"] == status; });
}

TEST(HealthTest, TooManyWaitingIsDegraded) {
  Gateway gateway(with_health("max_waiting: 2, min_success: 0", "workers: 1"));
  Barrier barrier(gateway, "handler");
  ASSERT_EQ(post(gateway, probe_request("first", "block", barrier.file())), 200);
  ASSERT_TRUE(barrier.reached());
  ASSERT_TRUE(overall_comes_to(gateway, "healthy")) << health_of(gateway);
  for (const char* id : {"a", "b"}) ASSERT_EQ(post(gateway, probe_request(id, "done")), 200);
  ASSERT_TRUE(overall_comes_to(gateway, "degraded"));
  const json dispatch = health_of(gateway, "dispatch")["integrations"]["dispatch"];
  EXPECT_EQ(dispatch["status"], "degraded");
  EXPECT_THAT(dispatch["message"].get<std::string>(), HasSubstr("wait"));
  EXPECT_EQ(dispatch["details"]["waiting"], 3);
  EXPECT_EQ(dispatch["details"]["max_waiting"], 2);
  EXPECT_EQ(health_of(gateway, "database")["integrations"]["database"]["status"], "healthy") << "events are still taken";
  barrier.open();
  EXPECT_TRUE(overall_comes_to(gateway, "healthy")) << health_of(gateway);
}

TEST(HealthTest, TooFewSuccessesAreDegradedUntilTheyAreOld) {
  Gateway gateway(with_health("window: 2s", ""));
  ASSERT_TRUE(overall_comes_to(gateway, "healthy")) << health_of(gateway);
  for (const char* id : {"a", "b", "c"}) ASSERT_EQ(post(gateway, probe_request(id, "dead")), 200);
  ASSERT_EQ(post(gateway, probe_request("d", "done")), 200);
  ASSERT_TRUE(overall_comes_to(gateway, "degraded"));
  const json dispatch = health_of(gateway, "dispatch")["integrations"]["dispatch"];
  EXPECT_THAT(dispatch["message"].get<std::string>(), HasSubstr("succeed"));
  EXPECT_LT(dispatch["details"]["success"], 0.5);
  EXPECT_TRUE(overall_comes_to(gateway, "healthy")) << health_of(gateway);
}

TEST(HealthTest, HalfOfThemIsEnough) {
  Gateway gateway(with_health("", ""));
  ASSERT_EQ(post(gateway, probe_request("a", "dead")), 200);
  ASSERT_EQ(post(gateway, probe_request("b", "done")), 200);
  const auto all_seen = [&] {
    const json details = health_of(gateway, "dispatch")["integrations"]["dispatch"]["details"];
    return details.value("failed", 0) == 1 && details.value("succeeded", 0) == 1;
  };
  ASSERT_TRUE(eventually(kSoon, all_seen)) << health_of(gateway, "dispatch");
  EXPECT_EQ(health_of(gateway, "dispatch")["overall_status"], "healthy");
}

TEST(HealthTest, DatabaseTellsThoseWhoMayKnow) {
  Gateway gateway(with_health("", ""));
  const auto details_of_database = [&] { return health_of(gateway, "database")["integrations"]["database"]["details"]; };
  ASSERT_TRUE(eventually(kSoon, [&] { return details_of_database().contains("path"); })) << "the check does not run";
  const json details = details_of_database();
  EXPECT_EQ(details["path"], gateway.store_path());
  EXPECT_GT(details["size_bytes"], 0);
  EXPECT_TRUE(details["last_batch_error"].is_null());
  for (const char* number : {"queued", "dead", "batches", "failed_batches"}) EXPECT_EQ(details[number], 0) << number;
}

TEST(HealthTest, ThePublicLearnsNoPathsAndNumbers) {
  Gateway gateway(with_health("", "", false));
  ASSERT_TRUE(overall_comes_to(gateway, "healthy"));
  const std::string body = gateway.request("GET", "/api/health/").body;
  EXPECT_THAT(body, Not(HasSubstr(gateway.folder())));
  EXPECT_EQ(json::parse(body)["integrations"]["database"]["details"], json::object());
  EXPECT_EQ(json::parse(body)["integrations"]["dispatch"]["details"], json::object());
}

// ---- back-pressure

TEST(BacklogTest, RefusesBeforeTheBodyAndTakesAgainBelowIt) {
  constexpr int kRoom = 3;
  Gateway gateway(with_health("", "workers: 1, max_backlog: " + std::to_string(kRoom)));
  Barrier barrier(gateway, "handler");
  ASSERT_EQ(post(gateway, probe_request("first", "block", barrier.file())), 200);
  ASSERT_TRUE(barrier.reached());
  for (int i = 1; i < kRoom; ++i) ASSERT_EQ(post(gateway, probe_request("early" + std::to_string(i), "done")), 200);

  // Only the head is sent: the refusal must not wait for a body of which nothing comes.
  WireClient client = gateway.connect();
  client.send("POST /probe HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n");
  const auto refused = client.read_response();
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->status, 503);
  EXPECT_GT(std::stoi(refused->header("Retry-After").value_or("0")), 0);
  EXPECT_EQ(gateway.store().events(), kRoom);
  EXPECT_EQ(gateway.request("POST", "/probe/reply/echo", {}, "hello").status, 200) << "what stores nothing goes on";
  EXPECT_TRUE(eventually(kSoon, [&] { return health_of(gateway, "database")["overall_status"] == "unhealthy"; }));

  barrier.open();
  EXPECT_TRUE(eventually(kSoon, [&] { return post(gateway, probe_request("late", "done")) == 200; })) << gateway.log();
  EXPECT_TRUE(eventually(kSoon, [&] { return gateway.store().deliveries("done") == kRoom + 1; })) << gateway.log();
  EXPECT_EQ(gateway.store().events(), kRoom + 1) << "each that was acknowledged, and no other";
  EXPECT_TRUE(eventually(kSoon, [&] { return health_of(gateway, "database")["overall_status"] == "healthy"; }));
}

}  // namespace
}  // namespace postern::testing
