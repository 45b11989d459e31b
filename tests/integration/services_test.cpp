// Plugins that call one another in the real daemon: in both orders of the YAML, in a circle, and what comes of a service that fails.
#include <gmock/gmock.h>

#include <filesystem>
#include <string>

#include "tests/integration/openphone_test.h"
#include "tests/integration/probe_gateway.h"
#include "tests/support/places.h"

namespace postern::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr milliseconds kSoon{20'000};

// Publishes NAME/1 under the path /NAME, and calls CALLS/1.
std::string probe_with(const std::string& name, const std::string& calls) {
  const std::string config = "{prefix: /" + name + ", publishes: " + name + "/1, calls: " + calls + "/1}";
  return "  - {name: " + name + ", library: " + probe_library() + ", config: " + config + ", routes: {/" + name + ": {wait: 5s}}}\n";
}
std::string both(bool a_first = true) {
  const std::string a = probe_with("a", "b"), b = probe_with("b", "a");
  return a_first ? a + b : b + a;
}

// What plugin `caller` is to do: call METHOD of the other's service with its id.
Response ask(const Gateway& gateway, const std::string& caller, const std::string& id, const std::string& method) {
  const nlohmann::json body = {{"id", id}, {"type", "test"}, {"do", "service"}, {"method", method}};
  return gateway.request("POST", "/" + caller, {{"Content-Type", "application/json"}}, body.dump());
}

// The error of what `method` makes of a delivery of plugin a, once that is dead.
std::string death_by(const Gateway& gateway, const std::string& method) {
  const std::string event = event_id_of(ask(gateway, "a", method, method));
  const bool died = eventually(kSoon, [&] { return gateway.store().state_of(method) == "dead"; });
  if (!died) return method + " is " + gateway.store().state_of(method) + "\n" + gateway.log();
  const auto dead = nlohmann::json::parse(gateway.command({"dead", "list", "--json"}).out);
  for (const auto& delivery : dead) {
    if (delivery.value("event_id", "") == event) return delivery.value("last_error", "");
  }
  return "not among the dead: " + dead.dump();
}

TEST(ServicesTest, PluginsCallOneAnotherInWhateverOrderTheyStand) {
  for (const bool a_first : {true, false}) {
    Gateway gateway({.plugins = both(a_first)});
    const Response of_a = ask(gateway, "a", "one", "echo"), of_b = ask(gateway, "b", "two", "echo");
    EXPECT_EQ(status_of(of_a), "processed") << gateway.log();
    EXPECT_EQ(json_of(of_a)["result"], (nlohmann::json{{"service", "b/1"}, {"caller", "a"}, {"request", "one"}}));
    EXPECT_EQ(json_of(of_b)["result"], (nlohmann::json{{"service", "a/1"}, {"caller", "b"}, {"request", "two"}}));
  }
}

TEST(ServicesTest, AServiceThatFailsFailsItsCallerAndNobodyElse) {
  Gateway gateway({.plugins = both()});
  EXPECT_THAT(death_by(gateway, "again"), AllOf(HasSubstr("-5: "), HasSubstr("more than 8 deep: b/1 → a/1 → ")));
  EXPECT_THAT(death_by(gateway, "throw"), AllOf(HasSubstr("-8: b/1 (plugin b): "), Not(HasSubstr("hunter2"))));
  EXPECT_TRUE(gateway.logs("hunter2")) << "the operator finds it in the log";
  EXPECT_THAT(death_by(gateway, "large"), HasSubstr("-5: b/1 (plugin b): its answer is over 1048576 bytes"));
  EXPECT_THAT(death_by(gateway, "later"), HasSubstr("2: b/1 (plugin b): asked to be called later"));
  EXPECT_EQ(status_of(ask(gateway, "a", "after", "echo")), "processed") << gateway.log();
  EXPECT_TRUE(gateway.running());
}

TEST(ServicesTest, AMissingOneIsToldByCheck) {
  Gateway gateway;
  std::string yaml = gateway.config();
  const size_t at = yaml.find("plugins:\n");
  ASSERT_NE(at, std::string::npos) << yaml;
  yaml.insert(at + 9, probe_with("a", "b") + probe_with("c", "a"));
  gateway.write_config(yaml);
  const Finished finished = gateway.command({"check"});
  EXPECT_EQ(finished.exit.code, 1);
  EXPECT_THAT(finished.err, AllOf(HasSubstr(gateway.config_file() + ":"),
                                  HasSubstr("plugin a needs the service b/1, which no plugin publishes"),
                                  HasSubstr("there are: a/1 (plugin a), c/1 (plugin c)")));
}

TEST(ServicesTest, ShowInPluginsAndMetrics) {
  const uint16_t port = free_port();
  const std::string listen = "listen: \"127.0.0.1:" + std::to_string(port) + "\"";
  Gateway gateway({.admin = listen + ", token: " + hex(random_bytes(32)) + ", open_metrics: true", .plugins = both()});
  ask(gateway, "a", "one", "echo");
  ask(gateway, "a", "two", "throw");
  EXPECT_THAT(gateway.command({"plugins"}).out, AllOf(HasSubstr("a/1, wants b/1"), HasSubstr("b/1, wants a/1")));
  const auto plugins = nlohmann::json::parse(gateway.command({"plugins", "--json"}).out);
  for (const auto& plugin : plugins) {
    if (plugin["name"] != "a") continue;
    EXPECT_EQ(plugin["services"], nlohmann::json::array({"a/1"}));
    EXPECT_EQ(plugin["wants_services"], nlohmann::json::array({{{"service", "b/1"}, {"required", true}, {"plugin", "b"}}}));
  }
  EXPECT_TRUE(eventually(kSoon, [&] { return gateway.store().state_of("two") == "dead"; })) << gateway.log();
  WireClient client = WireClient::tcp("127.0.0.1", port);
  client.send(request_text("GET", "/metrics", {}));
  const auto metrics = client.read_response();
  ASSERT_TRUE(metrics);
  for (const char* series :
       {R"({service="a/1",status="ok"} 0)", R"({service="b/1",status="ok"} 1)", R"({service="b/1",status="internal"} 1)"}) {
    EXPECT_THAT(metrics->body, HasSubstr("postern_service_calls_total" + std::string(series)));
  }
}

// A stop while a service works waits for it, and its caller settles.
TEST(ServicesTest, AStopLetsACallFinish) {
  Gateway gateway({.plugins = both()});
  const std::string id = gateway.folder() + "/began";  // which the service makes
  gateway.connect().send(request_text("POST", "/a", {{"Content-Type", "application/json"}},
                                      R"({"id":")" + id + R"(","type":"test","do":"service","method":"slow"})"));
  ASSERT_TRUE(eventually(kSoon, [&] { return std::filesystem::exists(id); })) << gateway.log();
  const Exit exit = gateway.stop();
  EXPECT_EQ(exit.code, 0) << gateway.log();
  EXPECT_THAT(gateway.log(), Not(HasSubstr("did not come back")));
  EXPECT_EQ(gateway.store().state_of(id), "done");
}

}  // namespace
}  // namespace postern::testing
