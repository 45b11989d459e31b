// What becomes of an event: handled, with its effects, in order, across restarts and crashes.
#include <gmock/gmock.h>
#include <signal.h>

#include <algorithm>
#include <cstdio>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/integration/openphone_test.h"
#include "tests/support/places.h"

namespace postern::testing {
namespace {

using ::testing::HasSubstr;

constexpr milliseconds kSoon{20000};

// Probe's handler does what the event says; tests/integration/probe.
GatewayOptions with_probe(const std::string& dispatch = "retry: {attempts: 3, base: 200ms, factor: 1, jitter: 0}") {
  return {.dispatch = dispatch, .plugins = "  - {name: probe, library: " + probe_library() + "}\n"};
}

Response post_probe(const Gateway& gateway, const std::string& id, const std::string& what,
                    const std::string& key = "") {
  const std::string body = R"({"id":")" + id + R"(","type":"test","do":")" + what + R"(","key":")" + key + "\"}";
  return gateway.request("POST", "/probe", {{"Content-Type", "application/json"}}, body);
}

bool comes_to(const Gateway& gateway, const std::string& id, const std::string& state) {
  const StoreReader store = gateway.store();
  return eventually(kSoon, [&] { return store.state_of(id) == state; });
}

int64_t attempts_of(const Gateway& gateway, const std::string& id) {
  return gateway.store().number(
      "SELECT d.attempts FROM delivery d JOIN event e ON d.event = e.seq WHERE e.external_id = ?", {id});
}

// The ids that probe's handler has seen under a key, in the order of their effects.
std::string seen(const Gateway& gateway, const std::string& key) {
  const auto rows = gateway.store().rows(
      "SELECT value FROM record WHERE plugin = 'probe' AND collection = 'order' AND key = ?", {key});
  return rows.empty() ? "" : rows[0][0];
}

TEST(LifeTest, MessagesBecomeRecords) {
  Gateway gateway;
  const std::string id = new_event_id();
  ASSERT_EQ(status_of(gateway.post_signed(id, message_body(id, "CN1", "A text of its own"))), "queued");
  ASSERT_TRUE(comes_to(gateway, id, "done")) << gateway.log();
  const StoreReader store = gateway.store();
  EXPECT_GT(store.number("SELECT settled_at FROM delivery"), 0);
  EXPECT_EQ(store.number("SELECT count(*) FROM record WHERE plugin = 'openphone' AND collection = 'contacts'"), 1);
  const auto messages = store.rows("SELECT value FROM record WHERE plugin = 'openphone' AND collection = 'messages'");
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_THAT(messages[0][0], HasSubstr("A text of its own"));
}

TEST(LifeTest, CallsBecomeRecords) {
  Gateway gateway;
  const std::string body =
      R"({"id":"EVcall","object":"event","apiVersion":"v3","type":"call.completed","data":{"object":{)"
      R"("id":"ACcall","object":"call","from":"+14155550100","to":"+14155550199","direction":"incoming",)"
      R"("status":"completed","duration":42,"conversationId":"CN1","media":[],"voicemail":null}}})";
  ASSERT_EQ(status_of(gateway.post(sign_legacy(gateway.legacy_key(), unix_milliseconds(), body), body)), "queued");
  ASSERT_TRUE(comes_to(gateway, "EVcall", "done")) << gateway.log();
  EXPECT_EQ(gateway.store().number("SELECT count(*) FROM record WHERE plugin = 'openphone' AND collection = 'calls'"),
            1);
}

TEST(LifeTest, UnknownTypesAreTakenAndSettled) {
  Gateway gateway;
  const std::string body = R"({"id":"EVtask","apiVersion":"2026-03-30","type":"task.created","data":{}})";
  ASSERT_EQ(status_of(gateway.post_signed("EVtask", body)), "queued");
  EXPECT_TRUE(eventually(kSoon, [&] { return gateway.store().unsettled() == 0; }));
}

TEST(LifeTest, ForgedOnesLeaveNoTrace) {
  Gateway gateway;
  const std::string body = message_body("EV1");
  EXPECT_EQ(gateway.post(sign_standard(new_standard_secret(), "EV1", unix_seconds(), body), body).status, 401);
  EXPECT_EQ(gateway.stop().code, 0);
  EXPECT_EQ(gateway.store().events(), 0);
  EXPECT_EQ(gateway.store().number("SELECT count(*) FROM delivery"), 0);
}

TEST(LifeTest, SigtermEndsInOrder) {
  Gateway gateway;
  for (const int signal : {SIGTERM, SIGINT}) {
    const std::string id = new_event_id();
    EXPECT_EQ(status_of(gateway.post_signed(id, message_body(id))), "queued");
    gateway.process().send_signal(signal);
    const auto exit = gateway.process().wait(kSoon);
    ASSERT_TRUE(exit) << "still there after " << signal;
    EXPECT_EQ(exit->code, 0) << gateway.log();
    EXPECT_EQ(exit->signal, 0);
    gateway.start();
    EXPECT_TRUE(comes_to(gateway, id, "done"));
  }
}

TEST(LifeTest, RetriesAreCountedAndEndDead) {
  Gateway gateway(with_probe());
  post_probe(gateway, "a", "retry");
  ASSERT_TRUE(comes_to(gateway, "a", "dead")) << gateway.log();
  EXPECT_EQ(attempts_of(gateway, "a"), 3);
  const auto attempts = gateway.store().rows("SELECT n, outcome, detail FROM attempt ORDER BY n");
  ASSERT_EQ(attempts.size(), 3u);
  EXPECT_EQ(attempts[0][0], "1");
  EXPECT_THAT(attempts[2][2], HasSubstr("asked to retry"));
  EXPECT_EQ(seen(gateway, "none"), "") << "what failed has no effects";
}

TEST(LifeTest, DeadAtOnce) {
  Gateway gateway(with_probe());
  post_probe(gateway, "a", "dead");
  ASSERT_TRUE(comes_to(gateway, "a", "dead"));
  EXPECT_EQ(attempts_of(gateway, "a"), 1);
}

TEST(LifeTest, RetryThatSucceeds) {
  Gateway gateway(with_probe());
  post_probe(gateway, "a", "retry_once");
  ASSERT_TRUE(comes_to(gateway, "a", "done"));
  EXPECT_EQ(attempts_of(gateway, "a"), 2);
  EXPECT_EQ(seen(gateway, "none"), R"(["a"])");
}

TEST(LifeTest, ExceptionsAreContained) {
  Gateway gateway(with_probe());
  post_probe(gateway, "a", "throw");
  ASSERT_TRUE(comes_to(gateway, "a", "dead")) << gateway.log();
  post_probe(gateway, "b", "done");
  EXPECT_TRUE(comes_to(gateway, "b", "done"));
}

TEST(LifeTest, PendingIsCompletedLater) {
  Gateway gateway(with_probe());
  post_probe(gateway, "a", "pending");
  ASSERT_TRUE(comes_to(gateway, "a", "done")) << gateway.log();
  EXPECT_EQ(seen(gateway, "none"), R"(["a"])");
}

TEST(LifeTest, EmittedEventsAreHandledToo) {
  Gateway gateway(with_probe());
  post_probe(gateway, "a", "emit", "k");
  ASSERT_TRUE(comes_to(gateway, "a", "done"));
  EXPECT_TRUE(eventually(kSoon, [&] { return seen(gateway, "k") == R"(["a","follow-a"])"; })) << seen(gateway, "k");
  EXPECT_EQ(gateway.store().number("SELECT count(*) FROM event WHERE type = 'probe.followed' AND order_key = 'k'"), 1);
}

TEST(LifeTest, OrderIsKeptPerKeyThroughRetries) {
  Gateway gateway(with_probe("workers: 4, retry: {attempts: 3, base: 300ms, factor: 1, jitter: 0}"));
  std::string expected = "[\"0\"";
  post_probe(gateway, "0", "retry_once", "k");  // the others wait for it
  for (int i = 1; i < 10; ++i) {
    post_probe(gateway, std::to_string(i), i % 3 == 0 ? "pending" : "done", "k");
    expected += ",\"" + std::to_string(i) + "\"";
  }
  post_probe(gateway, "elsewhere", "done", "other");
  EXPECT_TRUE(comes_to(gateway, "elsewhere", "done"));
  ASSERT_TRUE(comes_to(gateway, "9", "done")) << gateway.log();
  EXPECT_EQ(seen(gateway, "k"), expected + "]");
}

// Many deliveries change one record at once: each effect must be there, once.
TEST(LifeTest, NoUpdateIsLost) {
  Gateway gateway(with_probe("workers: 8"));
  constexpr int kEvents = 200;
  std::string all;
  for (int i = 0; i < kEvents; ++i) {  // no key: unordered, but all of them in the record "none"
    all += request_text("POST", "/probe", {{"Content-Type", "application/json"}},
                        R"({"id":"e)" + std::to_string(i) + R"(","type":"test","do":"done"})");
  }
  WireClient client = gateway.connect();
  client.send(all);
  for (int i = 0; i < kEvents; ++i) ASSERT_TRUE(client.read_response());
  ASSERT_TRUE(eventually(kSoon, [&] { return gateway.store().deliveries("done") == kEvents; })) << gateway.log();
  const auto ids = nlohmann::json::parse(seen(gateway, "none"));
  EXPECT_EQ(std::set<std::string>(ids.begin(), ids.end()).size(), static_cast<size_t>(kEvents));
  EXPECT_EQ(ids.size(), static_cast<size_t>(kEvents));
}

// Two conversations with one contact, a thousand times: of both, the contact's record has what each of them wrote.
TEST(LifeTest, TwoHandlersOnOneRecordLoseNothing) {
  Gateway gateway(with_probe("workers: 8"));
  constexpr int kContacts = 1000;
  std::string all;
  for (int i = 0; i < 2 * kContacts; ++i) {
    const std::string id = std::to_string(i), contact = "contact-" + std::to_string(i / 2);
    all +=
        request_text("POST", "/probe", {{"Content-Type", "application/json"}},
                     R"({"id":")" + id + R"(","type":"test","do":"done","key":"conversation-)" + id + R"(","record":")" + contact + "\"}");
  }
  WireClient client = gateway.connect();
  client.send(all);
  for (int i = 0; i < 2 * kContacts; ++i) ASSERT_TRUE(client.read_response());
  ASSERT_TRUE(eventually(kSoon, [&] { return gateway.store().deliveries("done") == 2 * kContacts; })) << gateway.log();
  ASSERT_TRUE(eventually(kSoon, [&] { return gateway.store().number("SELECT count(*) FROM record") == kContacts; }));
  for (const auto& row : gateway.store().rows("SELECT key, value FROM record")) {
    const auto ids = nlohmann::json::parse(row[1]);
    EXPECT_EQ(std::set<std::string>(ids.begin(), ids.end()).size(), 2u) << row[0] << ": " << row[1];
  }
  EXPECT_EQ(gateway.store().number("SELECT max(attempts) FROM delivery"), 1) << "a rerun costs no attempt";
}

TEST(LifeTest, BacklogThatIsFullIsTold) {
  Gateway gateway(with_probe("max_backlog: 3, retry: {base: 10m}"));
  std::optional<Response> refused;
  int taken = 0;
  for (int i = 0; i < 50 && !refused; ++i) {  // each waits for its second attempt
    const Response response = post_probe(gateway, std::to_string(i), "retry");
    if (response.status == 200)
      ++taken;
    else
      refused = response;
  }
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->status, 503);
  EXPECT_NE(refused->header("Retry-After").value_or(""), "");
  EXPECT_GE(taken, 3);
  EXPECT_EQ(gateway.store().events(), taken) << "the refused one is not stored";
}

TEST(LifeTest, RequiredFieldsAreRequired) {
  Gateway gateway(with_probe());
  const Headers json{{"Content-Type", "application/json"}};
  EXPECT_EQ(gateway.request("POST", "/probe", json, R"({"type":"test"})").status, 422);
  EXPECT_EQ(gateway.request("POST", "/probe", json, R"({"id":"","type":"test"})").status, 422);
  EXPECT_EQ(gateway.store().events(), 0);
}

TEST(LifeTest, RestartGoesOnWithWhatWaits) {
  Gateway gateway(with_probe("retry: {attempts: 3, base: 1s, factor: 1, jitter: 0}"));
  post_probe(gateway, "a", "retry_once");
  ASSERT_TRUE(eventually(kSoon, [&] { return attempts_of(gateway, "a") == 1; }));
  gateway.restart();
  ASSERT_TRUE(comes_to(gateway, "a", "done")) << gateway.log();
  EXPECT_EQ(attempts_of(gateway, "a"), 2);
}

TEST(LifeTest, CrashGoesOnWithWhatRan) {
  Gateway gateway(with_probe());
  post_probe(gateway, "lost", "lost", "k");  // pending when the gateway dies
  post_probe(gateway, "after", "done", "k");
  const StoreReader store = gateway.store();
  EXPECT_EQ(store.state_of("after"), "queued") << "it waits for the one before";
  gateway.kill();
  gateway.start();
  ASSERT_TRUE(comes_to(gateway, "after", "done")) << gateway.log();
  EXPECT_EQ(seen(gateway, "k"), R"(["lost","after"])");
}

TEST(LifeTest, DuplicatesAreRecognisedAfterARestart) {
  Gateway gateway;
  const std::string id = new_event_id();
  const std::string body = message_body(id);
  const std::string first = event_id_of(gateway.post_signed(id, body));
  gateway.restart();
  EXPECT_EQ(event_id_of(gateway.post_signed(id, body)), first);
  gateway.kill();
  gateway.start();
  const Response again = gateway.post_signed(id, body);
  EXPECT_EQ(status_of(again), "duplicate_ignored");
  EXPECT_EQ(event_id_of(again), first);
  EXPECT_EQ(gateway.store().events(), 1);
}

TEST(LifeTest, StaysSmallAndStartsSoon) {
  Gateway gateway;
  milliseconds best = gateway.restart();
  for (int i = 0; i < 2; ++i) best = std::min(best, gateway.restart());
  const size_t rss = gateway.process().rss();
  std::printf("start to first answer: %lld ms, idle RSS: %.1f MB\n", static_cast<long long>(best.count()),
              static_cast<double>(rss) / 1e6);
  if (POSTERN_CHECK_BARS) {
    EXPECT_LE(best.count(), 300);
    EXPECT_LE(rss, 30'000'000u);
  }
}

TEST(LifeTest, ListensOnAUnixSocketToo) {
  Gateway gateway;
  std::string yaml = gateway.config();
  const std::string path = gateway.folder() + "/front.sock";
  yaml.replace(yaml.find("listen: [") + 9, 0, "\"unix:" + path + "\", ");
  gateway.write_config(yaml);
  gateway.restart();
  WireClient client = WireClient::unix_socket(path);
  const std::string id = new_event_id();
  const std::string body = message_body(id);
  Headers headers = gateway.sign(id, body);
  headers.emplace_back("Content-Type", "application/json");
  client.send(request_text("POST", kOpenphonePath, headers, body));
  const auto response = client.read_response();
  ASSERT_TRUE(response);
  EXPECT_EQ(status_of(*response), "queued");
}

}  // namespace
}  // namespace postern::testing
