// A plugin that ends the gateway: what the next start knows of it, and does about it. Under load: tests/fault/crash.py.
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/integration/probe_gateway.h"
#include "tests/support/sanitizer.h"

namespace postern::testing {
namespace {

using ::testing::HasSubstr;

constexpr milliseconds kSoon{20000};

#if POSTERN_ASAN || POSTERN_TSAN
constexpr bool kSanitized = true;  // its report ends the process in its own way
#else
constexpr bool kSanitized = false;
#endif

// Each delivery is tried again at once; `more`: other settings of dispatch.
GatewayOptions with_probe(const std::string& more = "crash_attempts: 2") {
  return {.dispatch = "retry: {attempts: 5, base: 1ms, factor: 1, cap: 1ms}, " + more, .plugins = probe_entry()};
}

void post(const Gateway& gateway, const nlohmann::json& body, const std::string& path = "/probe") {
  EXPECT_EQ(gateway.request("POST", path, {{"Content-Type", "application/json"}}, body.dump()).status, 200);
}

// It may crash before the answer is out.
void post_crash(const Gateway& gateway, const nlohmann::json& body) {
  try {
    gateway.request("POST", "/probe", {{"Content-Type", "application/json"}}, body.dump());
  } catch (const std::exception&) {
  }
}

nlohmann::json crash(const std::string& id, const std::string& how, const std::string& once = "") {
  return {{"id", id}, {"type", "test"}, {"do", "crash"}, {"how", how}, {"once", once}};
}

Exit ended(Gateway& gateway) { return gateway.process().wait(kSoon).value_or(Exit{}); }

// It may crash again before it answers.
void start_again(Gateway& gateway) {
  for (int i = 0; i < 10; ++i) {
    try {
      gateway.start();
      return;
    } catch (const std::exception&) {
    }
  }
}

// Starts it again until it stays.
void until_it_stays(Gateway& gateway, const std::function<bool()>& stays) {
  for (int i = 0; i < 10; ++i) {
    if (eventually(kSoon, [&] { return !gateway.running() || stays(); }) && gateway.running()) return;
    start_again(gateway);
  }
}

std::string text_of(const StoreReader& store, const std::string& sql) {
  const auto rows = store.rows(sql);
  return rows.empty() ? "(no row)" : rows[0][0];
}

nlohmann::json status_of(const Gateway& gateway) { return nlohmann::json::parse(gateway.command({"status", "--json"}).out); }

TEST(CrashTest, TheDeliveryDiesOfItAndTellsWhere) {
  Gateway gateway(with_probe());
  post_crash(gateway, crash("a", "segv"));
  const Exit exit = ended(gateway);
  if (!kSanitized) {
    EXPECT_EQ(exit.signal, SIGSEGV);
  }
  start_again(gateway);
  const StoreReader store = gateway.store();
  until_it_stays(gateway, [&] { return store.deliveries("dead") == 1; });
  ASSERT_EQ(store.deliveries("dead"), 1) << gateway.log();
  const auto attempts = store.rows("SELECT n, outcome, detail FROM attempt ORDER BY n");
  ASSERT_EQ(attempts.size(), 2u);
  EXPECT_EQ(attempts[1][1], "crash");
  EXPECT_THAT(attempts[1][2], HasSubstr("the gateway crashed in it: SIG"));
  const auto crashes = store.rows("SELECT plugin, build, entry_point, delivery, place, backtrace FROM crash");
  ASSERT_EQ(crashes.size(), 2u);
  EXPECT_EQ(crashes[0][0], "probe");
  EXPECT_EQ(crashes[0][1], "probe-build-1");
  EXPECT_EQ(crashes[0][2], "handler");
  EXPECT_EQ(crashes[0][3], "1");
  EXPECT_THAT(crashes[0][5], HasSubstr("probe.so+0x"));
  if (!kSanitized) {
    EXPECT_THAT(crashes[0][4], HasSubstr("probe.so+0x"));
  }
  EXPECT_TRUE(gateway.logs("the gateway crashed in the handler of plugin probe"));
  post(gateway, {{"id", "b"}, {"type", "test"}, {"do", "done"}});
  EXPECT_TRUE(eventually(kSoon, [&] { return store.deliveries("done") == 1; }));
  const auto status = status_of(gateway);
  EXPECT_EQ(status["crashes"][0]["plugin"], "probe");
  EXPECT_EQ(status["crashes"][0]["crashes"], 2);
  EXPECT_TRUE(status["crashes"][0]["quarantined_until"].is_null());
}

TEST(CrashTest, AfterOneItGoesOnWithItsEffectsOnce) {
  for (const char* how : {"overflow", "abort"}) {
    Gateway gateway(with_probe());
    post_crash(gateway, crash("a", how, gateway.folder() + "/once"));
    EXPECT_NE(ended(gateway).code, 0);
    gateway.start();
    const StoreReader store = gateway.store();
    ASSERT_TRUE(eventually(kSoon, [&] { return store.deliveries("done") == 1; })) << gateway.log();
    EXPECT_EQ(store.number("SELECT count(*) FROM attempt WHERE outcome = 'crash'"), 1) << how;
  }
}

// Killed, with two at work: who it was shows when they run alone.
TEST(CrashTest, WithoutAWordOnlyDyingAloneCounts) {
  Gateway gateway(with_probe());
  const Barrier barrier(gateway, "barrier");
  post(gateway, {{"id", "a"}, {"type", "test"}, {"do", "block"}, {"file", barrier.file()}});
  ASSERT_TRUE(barrier.reached());
  post_crash(gateway, crash("b", "kill", gateway.folder() + "/once"));
  EXPECT_EQ(ended(gateway).signal, SIGKILL);
  barrier.open();
  gateway.start();
  const StoreReader store = gateway.store();
  ASSERT_TRUE(eventually(kSoon, [&] { return store.deliveries("done") == 2; })) << gateway.log();
  EXPECT_EQ(store.number("SELECT count(*) FROM attempt"), 0);  // nobody has died alone
  EXPECT_EQ(store.number("SELECT count(*) FROM crash"), 0);
  EXPECT_TRUE(gateway.logs("ended without a word"));
  EXPECT_TRUE(gateway.logs("runs before others, alone"));
}

TEST(CrashTest, WhoAlwaysExitsIsFoundOutAlone) {
  Gateway gateway(with_probe());
  const Barrier barrier(gateway, "barrier");
  post(gateway, {{"id", "a"}, {"type", "test"}, {"do", "block"}, {"file", barrier.file()}});
  ASSERT_TRUE(barrier.reached());
  post_crash(gateway, crash("b", "exit"));
  EXPECT_EQ(ended(gateway).code, 7);
  barrier.open();
  start_again(gateway);
  const StoreReader store = gateway.store();
  until_it_stays(gateway, [&] { return store.deliveries("dead") == 1 && store.deliveries("done") == 1; });
  EXPECT_EQ(store.deliveries("dead"), 1) << gateway.log();
  EXPECT_EQ(text_of(store, "SELECT e.external_id FROM delivery d JOIN event e ON e.seq = d.event WHERE d.state = 'dead'"), "b");
  EXPECT_THAT(text_of(store, "SELECT last_error FROM delivery WHERE state = 'dead'"), HasSubstr("without a word"));
  EXPECT_EQ(store.number("SELECT count(*) FROM crash WHERE signal = ''"), 2);
}

TEST(CrashTest, AThreadOfThePluginsOwnCountsForThePlugin) {
  Gateway gateway(with_probe());
  post_crash(gateway, crash("a", "thread", gateway.folder() + "/once"));
  EXPECT_NE(ended(gateway).code, 0);
  gateway.start();
  const StoreReader store = gateway.store();
  ASSERT_TRUE(eventually(kSoon, [&] { return store.deliveries("done") == 1; })) << gateway.log();
  const auto crashes = store.rows("SELECT plugin, entry_point, ifnull(delivery, 0) FROM crash");
  ASSERT_EQ(crashes.size(), 1u);
  EXPECT_EQ(crashes[0][0], "probe");
  EXPECT_EQ(crashes[0][1], "thread");
  EXPECT_EQ(crashes[0][2], "0");
}

TEST(CrashTest, ACleanStopSuspectsNobody) {
  Gateway gateway(with_probe());
  post(gateway, {{"id", "a"}, {"type", "test"}, {"do", "done"}});
  EXPECT_EQ(gateway.stop().code, 0);
  gateway.start();
  EXPECT_EQ(gateway.log().find("without a word"), std::string::npos);
  struct stat found {};
  ASSERT_EQ(::stat((gateway.store_path() + ".running").c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777, 0600u);
}

TEST(CrashTest, ADamagedRecordIsSaidSoAndTheGatewayStarts) {
  Gateway gateway(with_probe());
  EXPECT_EQ(gateway.stop().code, 0);
  std::ofstream(gateway.store_path() + ".running") << "not a record";
  gateway.start();
  EXPECT_TRUE(gateway.logs("is no crash record"));
  post_crash(gateway, crash("a", "segv", gateway.folder() + "/once"));
  EXPECT_NE(ended(gateway).code, 0);
  gateway.start();
  EXPECT_EQ(gateway.store().number("SELECT count(*) FROM crash"), 1);
}

// Its events are taken and wait; who waits for its own answer is told to come again; the others notice nothing.
TEST(CrashTest, APluginThatCrashesTooOftenIsHeldUntilItIsReleased) {
  GatewayOptions options = with_probe("crash_attempts: 3, quarantine: {crashes: 3, within: 1h, for: 1h}");
  options.plugins += probe_at("other", "/other");
  Gateway gateway(options);
  post_crash(gateway, crash("a", "segv"));
  ended(gateway);
  start_again(gateway);
  const StoreReader store = gateway.store();
  until_it_stays(gateway, [&] { return store.number("SELECT count(*) FROM crash") == 3; });
  ASSERT_TRUE(gateway.running()) << gateway.log();
  EXPECT_EQ(store.deliveries("dead"), 1);
  post(gateway, {{"id", "b"}, {"type", "test"}, {"do", "done"}});
  post(gateway, {{"id", "c"}, {"type", "test"}, {"do", "done"}}, "/other");
  EXPECT_TRUE(eventually(kSoon, [&] { return store.deliveries("done") == 1; }));
  EXPECT_EQ(text_of(store, "SELECT plugin FROM delivery WHERE state = 'queued'"), "probe");
  const Response reply = gateway.request("POST", "/probe/reply/echo", {}, "hello");
  EXPECT_EQ(reply.status, 503);
  EXPECT_TRUE(reply.header("Retry-After"));
  EXPECT_EQ(gateway.request("POST", "/other/reply/echo", {}, "hello").status, 200);
  auto tells = [&] { return gateway.request("GET", "/api/health/dispatch").body.find("crashed too often") != std::string::npos; };
  EXPECT_TRUE(eventually(kSoon, tells));
  const auto status = status_of(gateway);
  EXPECT_TRUE(status["crashes"][0]["quarantined_until"].is_number());
  EXPECT_THAT(gateway.command({"plugins"}).out, HasSubstr("postern plugins release probe"));
  EXPECT_THAT(gateway.command({"status"}).out, HasSubstr("plugin probe has ended the gateway 3 times"));
  EXPECT_EQ(gateway.command({"plugins", "release", "nobody"}).exit.code, 1);
  EXPECT_EQ(gateway.command({"plugins", "release", "other"}).exit.code, 1);

  const Finished released = gateway.command({"plugins", "release", "probe"});
  EXPECT_EQ(released.exit.code, 0) << released.err << gateway.log();
  EXPECT_TRUE(eventually(kSoon, [&] { return store.deliveries("done") == 2; })) << gateway.log();
  EXPECT_EQ(gateway.request("POST", "/probe/reply/echo", {}, "hello").status, 200);
  EXPECT_TRUE(status_of(gateway)["crashes"][0]["quarantined_until"].is_null());
  EXPECT_EQ(gateway.stop().code, 0);
}

}  // namespace
}  // namespace postern::testing
