// Events that a plugin publishes by itself, of the real daemon.
#include <gmock/gmock.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "tests/integration/openphone_test.h"
#include "tests/integration/probe_gateway.h"

namespace postern::testing {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;

constexpr milliseconds kSoon{30'000};
constexpr int kRetry = 2, kInvalid = -1, kLimit = -5, kGone = -6;

std::string body_of(const std::string& id, const std::string& what, const json& more = json::object()) {
  json body = {{"id", id}, {"do", what}};
  body.update(more);
  return body.dump();
}

// What came of it, or the status of the call alone.
json publish(const Gateway& gateway, const Headers& headers, const std::string& body, const std::string& how = "publish") {
  return json::parse(gateway.request("POST", "/probe/reply/" + how, headers, body).body, nullptr, false);
}

std::string record(const Gateway& gateway, const std::string& key) {
  const auto rows = gateway.store().rows("SELECT value FROM record WHERE collection = 'order' AND key = ?", {key});
  return rows.empty() ? "" : rows[0][0];
}

int64_t events_of(const Gateway& gateway, const std::string& type) {
  return gateway.store().number("SELECT count(*) FROM event WHERE type = ?", {type});
}

std::string content(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(PublishTest, IsDurableWhenThePluginIsTold) {
  Gateway gateway({.plugins = probe_entry()});
  const json told = publish(gateway, {{"x-key", "k"}, {"x-external", "mine"}}, body_of("a", "done"));
  EXPECT_EQ(told["status"], 0) << told;
  EXPECT_EQ(told["duplicate"], 0);
  EXPECT_EQ(told["settled"], 0);
  EXPECT_EQ(told["error"], "");
  const auto rows = gateway.store().rows("SELECT id, provider, external_id, order_key, method, target, depth FROM event");
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0], (std::vector<std::string>{told["event_id"], "probe", "mine", "k", "", "", "0"}));
  EXPECT_TRUE(eventually(kSoon, [&] { return record(gateway, "k") == R"(["a"])"; })) << gateway.log();
}

TEST(PublishTest, WaitsForTheHandlersResult) {
  Gateway gateway({.plugins = probe_entry()});
  const json told = publish(gateway, {{"x-wait", "20000"}, {"x-key", "k"}}, body_of("a", "done"));
  EXPECT_EQ(told["settled"], 1) << told;
  EXPECT_EQ(told["result"], R"({"seen":"a"})");
  EXPECT_EQ(record(gateway, "k"), R"(["a"])") << "the effects came with the result";
  EXPECT_EQ(publish(gateway, {{"x-wait", "20000"}}, body_of("b", "pending"))["result"], R"({"seen":"b"})");
}

TEST(PublishTest, WaitsNoLongerThanItIsSaid) {
  Gateway gateway({.dispatch = "retry: {base: 10m}", .plugins = probe_entry()});
  for (const auto& [what, why] : {std::pair{"retry", "not settled it in time"}, {"dead", "the handler has failed"}}) {
    const json told = publish(gateway, {{"x-wait", "300"}}, body_of(what, what));
    EXPECT_EQ(told["status"], 0) << told;
    EXPECT_EQ(told["settled"], 0);
    EXPECT_EQ(told["result"], "");
    EXPECT_THAT(told["error"], HasSubstr(why));
  }
  EXPECT_EQ(publish(gateway, {{"x-wait", "3600001"}}, body_of("a", "done")), kInvalid);
}

TEST(PublishTest, ASecondOneOfAnIdIsADuplicate) {
  Gateway gateway({.plugins = probe_entry() + probe_at("other", "/other")});
  const json first = publish(gateway, {{"x-external", "one"}}, body_of("a", "done"));
  const json second = publish(gateway, {{"x-external", "one"}, {"x-wait", "20000"}, {"x-type", "probe.else"}}, body_of("b", "done"));
  EXPECT_EQ(first["duplicate"], 0) << first;
  EXPECT_EQ(second["duplicate"], 1) << second;
  EXPECT_EQ(second["status"], 0);
  EXPECT_EQ(second["settled"], 0);
  EXPECT_EQ(second["event_id"], first["event_id"]);
  EXPECT_EQ(gateway.store().events(), 1);
  const json others = json::parse(gateway.request("POST", "/other/reply/publish", {{"x-external", "one"}}, "{}").body);
  EXPECT_EQ(others["duplicate"], 0) << "another plugin's";
  gateway.request("POST", "/probe", {{"Content-Type", "application/json"}}, R"({"id":"one","type":"t"})");
  EXPECT_EQ(gateway.store().events(), 3) << "a route's is another";
  for (int i = 0; i < 2; ++i) publish(gateway, {}, body_of("c", "done"));
  EXPECT_EQ(gateway.store().events(), 5) << "without an id";
  gateway.kill();
  gateway.start();
  EXPECT_EQ(publish(gateway, {{"x-external", "one"}}, body_of("a", "done"))["event_id"], first["event_id"]);
}

TEST(PublishTest, GoesToSubscriptionsInTheOrderOfItsKey) {
  Gateway gateway({.plugins = probe_entry() + probe_at("other", "/other"),
                   .subscriptions = "  - {on: voice.call.completed, plugin: other, name: calls, with: {into: calls}}\n"});
  for (const char* id : {"1", "2", "3"}) {
    const json told = publish(gateway, {{"x-type", "voice.call.completed"}, {"x-external", id}, {"x-key", "k"}}, body_of(id, "done"));
    EXPECT_EQ(told["status"], 0) << told;
  }
  EXPECT_TRUE(eventually(kSoon, [&] { return record(gateway, "calls") == R"(["1","2","3"])"; })) << record(gateway, "calls");
  EXPECT_TRUE(eventually(kSoon, [&] { return record(gateway, "k") == R"(["1","2","3"])"; })) << record(gateway, "k");
}

TEST(PublishTest, SurvivesAKillAfterItWasTold) {
  Gateway gateway({.dispatch = "workers: 1", .plugins = probe_entry()});
  const Barrier barrier(gateway, "block");
  publish(gateway, {}, body_of("blocks", "block", {{"file", barrier.file()}}));
  ASSERT_TRUE(barrier.reached());
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(publish(gateway, {{"x-key", "k"}}, body_of(std::to_string(i), "done"))["status"], 0);
  }
  gateway.kill();
  barrier.open();
  gateway.start();
  std::string all;
  for (int i = 0; i < 20; ++i) all += (i == 0 ? "[\"" : ",\"") + std::to_string(i) + "\"";
  EXPECT_TRUE(eventually(kSoon, [&] { return record(gateway, "k") == all + "]"; })) << record(gateway, "k");
  EXPECT_EQ(events_of(gateway, "probe.published"), 21);
}

TEST(PublishTest, AFullBacklogIsTold) {
  Gateway gateway({.dispatch = "max_backlog: 3, retry: {base: 10m}", .plugins = probe_entry()});
  json told;
  int taken = 0;
  for (int i = 0; i < 50; ++i) {
    told = publish(gateway, {}, body_of(std::to_string(i), "retry"));
    if (told["status"] != 0) break;
    ++taken;
  }
  EXPECT_EQ(told["status"], kRetry) << told;
  EXPECT_EQ(told["event_id"], "");
  EXPECT_THAT(told["error"], HasSubstr("the backlog is full"));
  EXPECT_EQ(gateway.store().events(), taken);
  EXPECT_EQ(publish(gateway, {}, "{}", "publish_untold"), 0);
  EXPECT_TRUE(gateway.logs("an event that a plugin has published was not stored"));
}

TEST(PublishTest, WhatIsNoEventIsRefused) {
  Gateway gateway({.plugins = probe_entry()});
  EXPECT_EQ(publish(gateway, {}, "no json"), kInvalid);
  EXPECT_EQ(publish(gateway, {}, ""), kInvalid);
  EXPECT_EQ(publish(gateway, {{"x-type", std::string(201, 't')}}, "{}"), kInvalid);
  EXPECT_EQ(publish(gateway, {{"x-external", std::string(1025, 'i')}}, "{}"), kInvalid);
  EXPECT_EQ(publish(gateway, {{"x-key", std::string(1025, 'k')}}, "{}"), kInvalid);
  EXPECT_EQ(gateway.store().events(), 0);
}

TEST(PublishTest, AtMostAsLargeAsWhatIsEmitted) {
  Gateway gateway({.gateway = "  max_body: 8MiB\n", .plugins = probe_entry()});
  const std::string large = "\"" + std::string((4 << 20) - 2 - std::string("probe.published").size(), 'x') + "\"";
  EXPECT_EQ(publish(gateway, {}, large)["status"], 0);
  EXPECT_EQ(publish(gateway, {}, large + " "), kLimit);
}

TEST(PublishTest, ACallbackThatThrowsIsLogged) {
  Gateway gateway({.plugins = probe_entry()});
  EXPECT_EQ(publish(gateway, {}, body_of("a", "done"), "publish_throws"), 0);
  EXPECT_TRUE(gateway.logs("the callback of a published event has failed"));
  EXPECT_TRUE(gateway.logs("asked to throw"));
  EXPECT_EQ(publish(gateway, {}, body_of("b", "done"))["status"], 0) << "the next one is told";
}

class PublishingSessions : public ::testing::Test {
 protected:
  std::string file(const std::string& id) const { return gateway_.folder() + "/" + id; }
  WireClient open(const std::string& id, const Headers& more = {}) const {
    WireClient client = gateway_.connect();
    Headers headers = {{"Connection", "Upgrade"}, {"Upgrade", "websocket"}, {"Sec-WebSocket-Version", "13"},
                       {"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="}, {"x-id", id}, {"x-file", file(id)}};
    headers.insert(headers.end(), more.begin(), more.end());
    client.send(request_text("GET", "/probe/session", headers));
    const auto response = client.read_response();
    EXPECT_EQ(response.value_or(Response{}).status, 101) << gateway_.log();
    return client;
  }
  // That the plugin was told in time that it is durable, and that it is.
  void expect_told(const std::string& id) const {
    EXPECT_THAT(content(file(id)), MatchesRegex("0 evt_[0-9a-zA-Z_]+"));
    EXPECT_EQ(gateway_.store().number("SELECT count(*) FROM event WHERE type = 'probe.ended' AND external_id = ?", {id}), 1);
  }

  Gateway gateway_{GatewayOptions{.plugins = probe_entry()}};
};

TEST_F(PublishingSessions, WhatTheyPublishAtTheirEnd) {
  WireClient client = open("gone");
  client.close();
  EXPECT_TRUE(eventually(kSoon, [&] { return record(gateway_, "sessions") == R"(["gone"])"; })) << gateway_.log();
  expect_told("gone");
}

TEST_F(PublishingSessions, OneThatIsWokenEarlyIsOpenedFirst) {
  WireClient client = open("early", {{"x-wake", "yes"}});
  std::string read;
  EXPECT_TRUE(eventually(kSoon, [&] { return (read += client.read_until_close(milliseconds(20))).starts_with("\x88"); })) << "it closes when woken";
  client.close();
  EXPECT_TRUE(eventually(kSoon, [&] { return content(file("early.calls")) == "opened woken "; })) << content(file("early.calls"));
}

// A client that has gone at once. The sanitizers see it where the handle does not live as long as the call.
TEST_F(PublishingSessions, AHandleLivesAsLongAsTheCallThatAccepted) {
  open("brief", {{"x-outlive", "yes"}}).close();
  EXPECT_TRUE(eventually(kSoon, [&] { return content(file("brief.outlived")) == std::to_string(kGone); })) << gateway_.log();
}

// One says farewell as it should, one never does and is cut off.
TEST_F(PublishingSessions, WhenTheGatewayStops) {
  WireClient polite = open("polite"), silent = open("silent");
  gateway_.process().send_signal(SIGTERM);
  const std::string farewell = "\x88\x82\x01\x02\x03\x04\x02\xeb";  // a close frame with 1001, masked
  EXPECT_TRUE(polite.send(farewell));
  const auto exit = gateway_.process().wait(kSoon);
  ASSERT_TRUE(exit) << gateway_.log();
  EXPECT_EQ(exit->code, 0) << gateway_.log();
  expect_told("polite");
  expect_told("silent");
  EXPECT_FALSE(gateway_.logs("a handler did not come back"));
  gateway_.start();
  EXPECT_TRUE(eventually(kSoon, [&] { return gateway_.store().unsettled() == 0; })) << gateway_.log();
  EXPECT_THAT(record(gateway_, "sessions"), ::testing::AllOf(HasSubstr("polite"), HasSubstr("silent")));
}

TEST_F(PublishingSessions, AfterAReloadTheirEventsGoToThoseInService) {
  WireClient client = open("old");
  std::string yaml = gateway_.config();
  yaml += "subscriptions:\n  - {on: probe.ended, plugin: probe, name: calls, with: {into: calls}}\n";
  gateway_.write_config(yaml);
  const Finished reloaded = gateway_.command({"reload"}, milliseconds(60'000));
  ASSERT_EQ(reloaded.exit.code, 0) << reloaded.err;
  client.close();
  EXPECT_TRUE(eventually(kSoon, [&] { return record(gateway_, "calls") == R"(["old"])"; })) << gateway_.log();
  EXPECT_TRUE(eventually(kSoon, [&] { return std::filesystem::exists(file("old")); }));
  EXPECT_TRUE(gateway_.logs("the plugins of a configuration have ended")) << "nothing holds it any more";
  expect_told("old");
}

}  // namespace
}  // namespace postern::testing
