// Dead deliveries and old events in the hands of an operator: replay, drop, rerun, prune with the real daemon and the real command.
#include <gmock/gmock.h>
#include <signal.h>

#include <cstdio>
#include <map>
#include <set>

#include "tests/integration/probe_gateway.h"

namespace postern::testing {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

constexpr milliseconds kSoon{60000};

class ReplayTest : public ::testing::Test {
 protected:
  // An event that says itself what shall become of it.
  void post(const std::string& id, const std::string& what, const std::string& type = "test", const std::string& key = "") {
    const json body = {{"id", id}, {"type", type}, {"do", what}, {"file", mended_}, {"key", key}};
    const auto answer = gateway_.request("POST", "/probe", {{"Content-Type", "application/json"}}, body.dump());
    ASSERT_EQ(answer.status, 200) << answer.body;
  }
  void post_many(int count, const std::string& what) {
    auto connection = gateway_.connect();
    for (int i = 0; i < count; ++i) {
      const std::string id = what + "-" + std::to_string(i);
      const json body = {{"id", id}, {"type", "test"}, {"do", what}, {"file", mended_}, {"key", "k" + std::to_string(i % 50)}};
      connection.send(request_text("POST", "/probe", {{"Content-Type", "application/json"}}, body.dump()));
      ASSERT_EQ(connection.read_response()->status, 200);
    }
  }
  void mend() const { std::ofstream(mended_) << "mended"; }
  int64_t count(const std::string& state) const {
    return gateway_.store().number("SELECT count(*) FROM delivery WHERE state = ?", {state});
  }
  bool comes_to(const std::string& state, int64_t wanted) const {
    return eventually(kSoon, [&] { return count(state) == wanted; });
  }
  int64_t delivery_of(const std::string& id) const {
    return gateway_.store().number("SELECT d.seq FROM delivery d JOIN event e ON e.seq = d.event WHERE e.external_id = ?", {id});
  }
  std::string state_of(const std::string& id) const { return gateway_.store().state_of(id); }
  std::string event_id(const std::string& id) const {
    return gateway_.store().rows("SELECT id FROM event WHERE external_id = ?", {id})[0][0];
  }
  // How often the handler has done something for each id: the ids in the records.
  std::map<std::string, int> effects() const {
    std::map<std::string, int> times;
    for (const auto& row : gateway_.store().rows("SELECT value FROM record WHERE collection = 'order'")) {
      for (const auto& id : json::parse(row[0])) ++times[id.get<std::string>()];
    }
    return times;
  }
  void wait_for_records() const {  // they come to their table when the gateway is idle
    eventually(kSoon, [&] { return gateway_.store().number("SELECT count(*) FROM record_log WHERE seq > (SELECT value FROM meta "
                                                           "WHERE name = 'record_merged_seq')") == 0; });
  }

  Gateway gateway_{{.dispatch = "retry: {attempts: 3, base: 50ms, factor: 1, jitter: 0}", .plugins = probe_entry()}};
  const std::string mended_ = gateway_.folder() + "/mended";
};

TEST_F(ReplayTest, TwoThousandWithOneCommand) {
  post_many(2000, "mend");
  ASSERT_TRUE(comes_to("dead", 2000));
  const auto refused = gateway_.command({"dead", "replay"});
  EXPECT_EQ(refused.exit.code, 2) << "not by an oversight";
  const auto dry = gateway_.command({"dead", "replay", "--all", "--dry-run", "--json"});
  EXPECT_EQ(dry.exit.code, 0) << dry.err;
  EXPECT_EQ(json::parse(dry.out)["matched"], 2000);
  EXPECT_EQ(count("dead"), 2000) << "a dry run changes nothing";
  mend();
  const auto began = Clock::now();
  const auto done = gateway_.command({"dead", "replay", "--all", "--rate", "100000"}, milliseconds(120000));
  const auto took = std::chrono::duration_cast<milliseconds>(Clock::now() - began);
  EXPECT_EQ(done.exit.code, 0) << done.err;
  EXPECT_THAT(done.out, HasSubstr("queued again 2000 dead deliveries"));
  ASSERT_TRUE(comes_to("done", 2000));
  wait_for_records();
  const auto times = effects();
  EXPECT_EQ(times.size(), 2000u);
  for (const auto& [id, n] : times) EXPECT_EQ(n, 1) << id;
  const auto nothing = gateway_.command({"dead", "replay", "--all"});
  EXPECT_EQ(nothing.exit.code, 1);
  EXPECT_THAT(nothing.err, HasSubstr("nothing matches"));
  std::printf("2000 dead deliveries queued again in %lld ms\n", static_cast<long long>(took.count()));
}

TEST_F(ReplayTest, GoesOnAfterSigkill) {
  constexpr int kCount = 600;
  post_many(kCount, "mend");
  ASSERT_TRUE(comes_to("dead", kCount));
  mend();
  const auto begun = gateway_.command({"dead", "replay", "--all", "--rate", "300", "--detach", "--json"});
  ASSERT_EQ(begun.exit.code, 0) << begun.err;
  const std::string job = json::parse(begun.out)["id"].dump();
  for (int kills = 0; kills < 3; ++kills) {
    const int64_t before = count("done");
    ASSERT_TRUE(eventually(kSoon, [&] { return count("done") >= before + 50; }));
    gateway_.kill();
    gateway_.start(milliseconds(30000));
  }
  EXPECT_GT(count("dead"), 0) << "it was killed in the middle";
  ASSERT_TRUE(comes_to("done", kCount));
  const auto shown = [&] { return json::parse(gateway_.command({"jobs", "show", job, "--json"}).out); };
  ASSERT_TRUE(eventually(kSoon, [&] { return shown()["state"] == "done"; }));
  EXPECT_EQ(shown()["done"], kCount) << "each once";
  EXPECT_EQ(count("dead"), 0);
  wait_for_records();
  const auto times = effects();
  EXPECT_EQ(times.size(), static_cast<size_t>(kCount));
  for (const auto& [id, n] : times) EXPECT_EQ(n, 1) << id;
}

TEST_F(ReplayTest, TakesWhatTheFiltersSay) {
  post("a", "mend", "call.ended");
  post("b", "dead", "message.made");
  post("c", "mend", "message.made");
  ASSERT_TRUE(comes_to("dead", 3));
  const auto matched = [&](std::vector<std::string> filter) {
    filter.insert(filter.begin(), {"dead", "replay", "--dry-run", "--json"});
    return json::parse(gateway_.command(filter).out)["matched"].get<int>();
  };
  EXPECT_EQ(matched({"--plugin", "probe"}), 3);
  EXPECT_EQ(matched({"--plugin", "openphone"}), 0);
  EXPECT_EQ(matched({"--type", "*message*"}), 2);
  EXPECT_EQ(matched({"--error", "NOT MENDED"}), 2);
  EXPECT_EQ(matched({"--since", "1h"}), 3);
  EXPECT_EQ(matched({"--until", "1h"}), 0);
  EXPECT_EQ(matched({"--until", "2020-01-01T00:00:00Z"}), 0);
  EXPECT_EQ(matched({"--since", "2020-01-01T00:00:00+01:00", "--type", "*message*", "--error", "mended"}), 1);
  EXPECT_EQ(json::parse(gateway_.command({"dead", "list", "--json", "--error", "asked to die"}).out).size(), 1u);
  mend();
  const auto done = gateway_.command({"dead", "replay", "--type", "*message*", "--error", "mended"});
  EXPECT_EQ(done.exit.code, 0) << done.err;
  EXPECT_TRUE(eventually(kSoon, [&] { return state_of("c") == "done"; }));
  EXPECT_EQ(state_of("a"), "dead");
  EXPECT_EQ(state_of("b"), "dead");
  const auto wrong = gateway_.command({"dead", "replay", "--since", "yesterday"});
  EXPECT_EQ(wrong.exit.code, 2);
  EXPECT_THAT(wrong.err, HasSubstr("is not a time"));
}

TEST_F(ReplayTest, LeavesARunningDeliveryAlone) {
  const Barrier barrier(gateway_, "hold");
  const json body = {{"id", "held"}, {"type", "test"}, {"do", "block"}, {"file", barrier.file()}};
  ASSERT_EQ(gateway_.request("POST", "/probe", {{"Content-Type", "application/json"}}, body.dump()).status, 200);
  ASSERT_TRUE(barrier.reached());
  const std::string number = std::to_string(delivery_of("held"));
  const std::vector<std::vector<std::string>> commands = {
      {"dead", "replay", number}, {"dead", "drop", number}, {"events", "replay", event_id("held")}};
  for (const auto& command : commands) {
    const auto refused = gateway_.command(command);
    EXPECT_EQ(refused.exit.code, 1);
    EXPECT_THAT(refused.err, HasSubstr("is queued or running"));
  }
  barrier.open();
  EXPECT_TRUE(comes_to("done", 1));
  wait_for_records();
  EXPECT_EQ(effects()["held"], 1);
}

TEST_F(ReplayTest, DoesTheKnownOnesBesideUnknownOnes) {
  post("a", "mend");
  ASSERT_TRUE(comes_to("dead", 1));
  mend();
  const auto done = gateway_.command({"dead", "replay", "4711", std::to_string(delivery_of("a"))});
  EXPECT_EQ(done.exit.code, 1);
  EXPECT_THAT(done.err, HasSubstr("4711: no delivery has this number"));
  EXPECT_TRUE(comes_to("done", 1));
  EXPECT_EQ(gateway_.command({"events", "replay", "evt_00000000000000000000000000"}).exit.code, 1);
  EXPECT_EQ(gateway_.command({"events", "replay", "nonsense"}).exit.code, 1);
  const auto not_dead = gateway_.command({"dead", "replay", std::to_string(delivery_of("a"))});
  EXPECT_EQ(not_dead.exit.code, 1);
  EXPECT_THAT(not_dead.err, HasSubstr("is done, not dead"));
}

TEST_F(ReplayTest, RunsSettledEventsAgain) {
  post("a", "done");
  post("b", "done");
  ASSERT_TRUE(comes_to("done", 2));
  const auto again = gateway_.command({"events", "replay", event_id("a")});
  EXPECT_EQ(again.exit.code, 0) << again.err;
  ASSERT_TRUE(eventually(kSoon, [&] {
    return gateway_.store().number("SELECT count(*) FROM delivery WHERE state = 'done' AND replayed_at IS NOT NULL") == 1;
  }));
  wait_for_records();
  EXPECT_EQ(effects()["a"], 2);
  EXPECT_EQ(effects()["b"], 1);
}

TEST_F(ReplayTest, DropsForGood) {
  post("a", "dead");
  post("b", "dead");
  ASSERT_TRUE(comes_to("dead", 2));
  const auto dropped = gateway_.command({"dead", "drop", std::to_string(delivery_of("a"))});
  EXPECT_EQ(dropped.exit.code, 0) << dropped.err;
  EXPECT_THAT(dropped.out, HasSubstr("dropped 1 dead delivery"));
  EXPECT_EQ(count("dead"), 1);
  EXPECT_EQ(json::parse(gateway_.command({"dead", "list", "--json"}).out).size(), 1u);
  EXPECT_EQ(json::parse(gateway_.command({"status", "--json"}).out)["store"]["dead"], 1);
  const auto shown = json::parse(gateway_.command({"events", "show", event_id("a"), "--json"}).out);
  EXPECT_TRUE(shown["deliveries"][0]["dropped_at"].is_number());
  EXPECT_EQ(gateway_.command({"dead", "drop", "--all"}).exit.code, 0);
  EXPECT_EQ(count("dead"), 0);
}

TEST_F(ReplayTest, AJobIsShownAndCancelled) {
  post_many(100, "mend");
  ASSERT_TRUE(comes_to("dead", 100));
  const auto begun = gateway_.command({"dead", "replay", "--all", "--rate", "5", "--detach", "--json"});
  const std::string job = json::parse(begun.out)["id"].dump();
  EXPECT_THAT(gateway_.command({"status"}).out, HasSubstr("postern jobs cancel " + job));
  const auto cancelled = gateway_.command({"jobs", "cancel", job});
  EXPECT_EQ(cancelled.exit.code, 0) << cancelled.err;
  EXPECT_EQ(gateway_.command({"jobs", "cancel", job}).exit.code, 0) << "it is";
  EXPECT_EQ(gateway_.command({"jobs", "show", "4711"}).exit.code, 1);
  EXPECT_GT(count("dead"), 0);
  EXPECT_TRUE(json::parse(gateway_.command({"status", "--json"}).out)["jobs"].empty());
}

// Events that no key needs any more: the store is made so while the gateway is down.
TEST_F(ReplayTest, PruneRemovesTheOldAndKeepsWhatIsOpenOrRemembered) {
  post("old", "done");
  post("dead", "dead");
  post("remembered", "done");
  ASSERT_TRUE(comes_to("done", 2));
  ASSERT_TRUE(comes_to("dead", 1));
  ASSERT_EQ(gateway_.stop().code, 0);
  {
    sqlite3* db = nullptr;
    ASSERT_EQ(sqlite3_open(gateway_.store_path().c_str(), &db), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(db, "UPDATE event SET received_at = 1000; UPDATE delivery SET settled_at = 1000; "
                               "UPDATE event SET dedupe_until = 1 WHERE external_id <> 'remembered'",
                           nullptr, nullptr, nullptr), SQLITE_OK);
    sqlite3_close(db);
  }
  gateway_.start();
  const auto dry = gateway_.command({"events", "prune", "--older-than", "7d", "--dry-run", "--json"});
  EXPECT_EQ(json::parse(dry.out)["matched"], 1) << dry.out << dry.err;
  EXPECT_EQ(gateway_.store().number("SELECT count(*) FROM event"), 3);
  const auto done = gateway_.command({"events", "prune", "--older-than", "7d"});
  EXPECT_EQ(done.exit.code, 0) << done.err;
  EXPECT_THAT(done.out, HasSubstr("removed 1 event"));
  EXPECT_EQ(gateway_.store().number("SELECT count(*) FROM event WHERE external_id = 'old'"), 0);
  const json body = {{"id", "remembered"}, {"type", "test"}, {"do", "done"}};
  EXPECT_THAT(gateway_.request("POST", "/probe", {{"Content-Type", "application/json"}}, body.dump()).body, HasSubstr("duplicate_ignored"));
  EXPECT_EQ(gateway_.command({"events", "prune", "--older-than", "7d", "--dead"}).exit.code, 0);
  EXPECT_EQ(count("dead"), 0);
  EXPECT_EQ(gateway_.store().number("SELECT count(*) FROM event"), 1);
}

}  // namespace
}  // namespace postern::testing
