// Timers of the real daemon: durable ones fire exactly once, whatever happens to the gateway; those in memory while it lives.
#include <gmock/gmock.h>
#include <signal.h>

#include <filesystem>
#include <string>
#include <thread>

#include "tests/integration/openphone_test.h"
#include "tests/integration/probe_gateway.h"

namespace postern::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr milliseconds kSoon{30'000};

class TimersTest : public ::testing::Test {
 protected:
  TimersTest() : gateway_({.dispatch = "retry: {attempts: 1}", .plugins = probe_entry("wait: 10s")}) {}

  Response ask(const std::string& id, const std::string& what, const nlohmann::json& more = nlohmann::json::object()) {
    nlohmann::json body = {{"id", id}, {"type", "test"}, {"do", what}};
    body.update(more);
    return gateway_.request("POST", "/probe", {{"Content-Type", "application/json"}}, body.dump());
  }
  void set(const std::string& id, const std::string& timer, int ms, const std::string& record = "timers") {
    const Response answer = ask(id, "set_timer", {{"timer", timer}, {"ms", std::to_string(ms)}, {"record", record}});
    ASSERT_EQ(status_of(answer), "processed") << answer.body << gateway_.log();
  }
  // The ids that were appended to a record.
  std::string record(const std::string& name = "timers") {
    const auto rows =
        gateway_.store().rows("SELECT value FROM record WHERE plugin = 'probe' AND collection = 'order' AND key = ?", {name});
    return rows.empty() ? "" : rows[0][0];
  }
  int64_t fired(const std::string& timer) {
    return gateway_.store().number("SELECT count(*) FROM event WHERE type = 'probe.timer' AND external_id = ?", {timer});
  }
  bool comes(const std::string& timer) {
    return eventually(kSoon, [&] { return fired(timer) > 0 && gateway_.store().unsettled() == 0; });
  }
  int64_t waiting() { return gateway_.store().number("SELECT count(*) FROM timer"); }
  nlohmann::json status() { return nlohmann::json::parse(gateway_.command({"status", "--json"}).out).at("timers"); }
  // Why a delivery died.
  std::string error_of(const std::string& id) {
    const auto rows = gateway_.store().rows(
        "SELECT d.last_error FROM delivery d JOIN event e ON d.event = e.seq WHERE e.external_id = ? AND d.state = 'dead'", {id});
    return rows.empty() ? "" : rows[0][0];
  }

  Gateway gateway_;
};

TEST_F(TimersTest, ADurableOneBecomesAnEvent) {
  set("a", "one", 300);
  ASSERT_TRUE(comes("one")) << gateway_.log();
  EXPECT_EQ(fired("one"), 1);
  EXPECT_EQ(record(), R"(["a","fired one"])");
  EXPECT_EQ(waiting(), 0);
}

TEST_F(TimersTest, SurvivesAKillAndFiresOnce) {
  set("a", "soon", 1500);
  set("b", "later", 3'600'000);
  gateway_.kill();
  gateway_.start();
  ASSERT_TRUE(comes("soon")) << gateway_.log();
  gateway_.kill();
  gateway_.start();
  std::this_thread::sleep_for(milliseconds(500));
  EXPECT_EQ(fired("soon"), 1);
  EXPECT_THAT(record(), HasSubstr(R"("fired soon"])"));
  EXPECT_EQ(fired("later"), 0);
  EXPECT_EQ(waiting(), 1);
}

TEST_F(TimersTest, WhatCameDueMeanwhileFiresAtTheStartInOrder) {
  for (int i = 5; i > 0; --i) {
    const std::string n = std::to_string(i), ms = std::to_string(1000 + 300 * i);
    const Response answer = ask("set" + n, "set_timer", {{"timer", "t" + n}, {"ms", ms}, {"key", "k"}, {"record", "late"}});
    ASSERT_EQ(status_of(answer), "processed") << answer.body;
  }
  gateway_.kill();
  ASSERT_EQ(waiting(), 5) << "the machine was too slow for this test";
  std::this_thread::sleep_for(milliseconds(2600));
  gateway_.start();
  ASSERT_TRUE(eventually(kSoon, [&] { return waiting() == 0 && gateway_.store().unsettled() == 0; })) << gateway_.log();
  EXPECT_THAT(record("late"), HasSubstr(R"("fired t1","fired t2","fired t3","fired t4","fired t5"])"));
}

// Killed again and again around the moment at which they fire.
TEST_F(TimersTest, KilledWhileTheyFire) {
  constexpr int kRounds = 5, kTimers = 20;
  for (int round = 0; round < kRounds; ++round) {
    for (int i = 0; i < kTimers; ++i) {
      const std::string name = std::to_string(round) + "/" + std::to_string(i);
      set(name, name, 100 + 10 * i, "round" + std::to_string(round));
    }
    std::this_thread::sleep_for(milliseconds(20 * round));
    gateway_.kill();
    gateway_.start();
  }
  ASSERT_TRUE(eventually(kSoon, [&] { return waiting() == 0 && gateway_.store().unsettled() == 0; })) << gateway_.log();
  EXPECT_EQ(gateway_.store().number("SELECT count(*) FROM event WHERE type = 'probe.timer'"), kRounds * kTimers);
  for (int round = 0; round < kRounds; ++round) {
    const std::string seen = record("round" + std::to_string(round));
    for (int i = 0; i < kTimers; ++i) {
      const std::string id = "\"fired " + std::to_string(round) + "/" + std::to_string(i) + "\"";
      const size_t first = seen.find(id);
      ASSERT_NE(first, std::string::npos) << id << " is not in " << seen;
      EXPECT_EQ(seen.find(id, first + 1), std::string::npos) << "twice: " << id;
    }
  }
}

TEST_F(TimersTest, RemovedAndReplacedOnesDoNotFire) {
  set("a", "removed", 1000);
  set("b", "replaced", 1000, "old");
  ASSERT_EQ(status_of(ask("c", "remove_timer", {{"timer", "removed"}})), "processed");
  set("d", "replaced", 1200, "new");
  ASSERT_TRUE(comes("replaced")) << gateway_.log();
  EXPECT_EQ(fired("removed"), 0);
  EXPECT_EQ(fired("replaced"), 1);
  EXPECT_THAT(record("old"), Not(HasSubstr("fired")));
  EXPECT_THAT(record("new"), HasSubstr("fired replaced"));
}

TEST_F(TimersTest, BadOnesFailTheirHandlerWithAReason) {
  struct {
    const char* id;
    nlohmann::json asked;
    const char* reason;
  } const bad[] = {
      {"negative", {{"timer", "t"}, {"ms", "-1"}}, "a timer's delay is not negative, as -1 ms is"},
      {"huge", {{"timer", "t"}, {"ms", "9000000000000000000"}}, "a timer's delay is at most ten years"},
      {"nameless", {{"timer", ""}}, "a timer's name has 1 to 1024 bytes"},
      {"unknown", {{"timer", "t"}, {"timer_type", "never.declared"}}, "the type 'never.declared' of a timer was not declared in init"},
      {"large", {{"timer", "t"}, {"size", "65537"}}, "a timer's body has at most 65536 bytes, not 65537"},
  };
  for (const auto& one : bad) {
    ask(one.id, "set_timer", one.asked);
    EXPECT_TRUE(eventually(kSoon, [&] { return !error_of(one.id).empty(); })) << one.id;
    EXPECT_THAT(error_of(one.id), HasSubstr(one.reason)) << one.id;
  }
  EXPECT_EQ(waiting(), 0);
}

TEST_F(TimersTest, InMemoryTheyRunACallback) {
  const std::string fires = gateway_.folder() + "/fires", cancelled = gateway_.folder() + "/cancelled";
  ASSERT_EQ(status_of(ask("a", "start_timer", {{"ms", "200"}, {"file", fires}})), "processed");
  ASSERT_EQ(status_of(ask("b", "start_timer", {{"ms", "200"}, {"file", cancelled}, {"cancel", "yes"}})), "processed");
  EXPECT_TRUE(eventually(kSoon, [&] { return std::filesystem::exists(fires); })) << gateway_.log();
  std::this_thread::sleep_for(milliseconds(200));
  EXPECT_FALSE(std::filesystem::exists(cancelled));
}

TEST_F(TimersTest, InMemoryACallbackThatThrowsHarmsNobody) {
  const std::string fires = gateway_.folder() + "/fires";
  ASSERT_EQ(status_of(ask("a", "start_timer", {{"ms", "1"}, {"throw", "yes"}})), "processed");
  EXPECT_TRUE(gateway_.logs("a callback was asked to throw"));
  ASSERT_EQ(status_of(ask("b", "start_timer", {{"ms", "1"}, {"file", fires}})), "processed");
  EXPECT_TRUE(eventually(kSoon, [&] { return std::filesystem::exists(fires); })) << gateway_.log();
}

TEST_F(TimersTest, InMemoryOneCompletesADelivery) {
  const Response answer = ask("a", "wait_timer", {{"ms", "200"}});
  EXPECT_EQ(status_of(answer), "processed") << gateway_.log();
  EXPECT_THAT(answer.body, HasSubstr(R"("by":"timer")"));
}

TEST_F(TimersTest, InMemoryTheyDoNotDelayAStop) {
  const std::string fires = gateway_.folder() + "/fires";
  ASSERT_EQ(status_of(ask("a", "start_timer", {{"ms", "3600000"}, {"file", fires}})), "processed");
  const Exit exit = gateway_.stop(milliseconds(10'000));
  EXPECT_EQ(exit.code, 0) << gateway_.log();
  EXPECT_FALSE(std::filesystem::exists(fires));
}

TEST_F(TimersTest, AreShown) {
  EXPECT_TRUE(status().empty());
  set("a", "one", 3'600'000);
  set("b", "two", 3'600'000);
  ask("c", "start_timer", {{"ms", "3600000"}, {"file", "x"}});
  const nlohmann::json shown = status();
  ASSERT_EQ(shown.size(), 1u);
  EXPECT_EQ(shown[0]["plugin"], "probe");
  EXPECT_EQ(shown[0]["waiting"], 2);
  EXPECT_EQ(shown[0]["in_memory"], 1);
  EXPECT_EQ(shown[0]["configured"], true);
  EXPECT_THAT(gateway_.command({"status"}).out, HasSubstr("timers of plugin probe: 2 durable, 1 in memory"));
}

}  // namespace
}  // namespace postern::testing
