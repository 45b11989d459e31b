// An upstream that is down: its breaker opens, deliveries wait for it in their places without losing attempts, and go on when it is back.
#include <gmock/gmock.h>

#include <atomic>
#include <fstream>
#include <map>
#include <stdexcept>
#include <string>

#include "tests/integration/openphone_test.h"
#include "tests/integration/probe_gateway.h"
#include "tests/support/places.h"
#include "tests/support/upstream_server.h"

namespace postern::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr milliseconds kSoon{20'000};

class PostponeTest : public ::testing::Test {
 protected:
  PostponeTest() : upstream_([this](Conversation& c) { c.answer(down_ ? 503 : 200, "{}", more_); }) {}

  // `settings`: of the upstream that probe calls.
  void run(const std::string& settings, const std::string& retry = "attempts: 3, base: 100ms, jitter: 0") {
    gateway_ = std::make_unique<Gateway>(GatewayOptions{
        .dispatch = "retry: {" + retry + "}, breaker: {failures: 1000}",
        .plugins = "  - {name: probe, library: " + probe_library() + ", config: {upstream: \"" + upstream_.url() +
                   "\"}, upstreams: {outside: {" + settings + "}}}\n"});
  }
  // An event whose handler asks the upstream for /ID.
  void post(const std::string& id, const std::string& key, const std::string& what = "call") {
    const nlohmann::json body = {{"id", id}, {"type", "test"}, {"key", key}, {"do", what}, {"url", "/" + id}};
    EXPECT_EQ(gateway_->request("POST", "/probe", {{"Content-Type", "application/json"}}, body.dump()).status, 200);
  }
  nlohmann::json status() const { return nlohmann::json::parse(gateway_->command({"status", "--json"}).out); }
  nlohmann::json upstream_status() const { return status().at("upstreams").at(0); }
  // Probe's own handlers.
  nlohmann::json subscriber() const {
    const nlohmann::json now = status();
    for (const auto& s : now.at("dispatch").at("subscribers")) {
      if (s["plugin"] == "probe") return s;
    }
    throw std::runtime_error("probe takes nothing");
  }
  std::string metrics() const {
    WireClient socket = WireClient::unix_socket(gateway_->socket_path());
    socket.send(request_text("GET", "/metrics", {}));
    return socket.read_response().value().body;
  }
  // State, attempts, last error, event's id, due_at, settled_at: by the provider's id.
  StoreReader::Row row(const std::string& id) const {
    return gateway_->store()
        .rows("SELECT d.state, d.attempts, ifnull(d.last_error, ''), e.id, d.due_at, ifnull(d.settled_at, 0) "
              "FROM delivery d JOIN event e ON d.event = e.seq WHERE e.external_id = ?", {id})
        .at(0);
  }
  bool all_done() const {
    return eventually(kSoon, [&] { return gateway_->store().unsettled() == 0; });
  }

  std::atomic<bool> down_{true};
  std::string more_;
  UpstreamServer upstream_;
  std::unique_ptr<Gateway> gateway_;
};

TEST_F(PostponeTest, WhileTheBreakerIsOpenDeliveriesWaitAndCostNoAttempt) {
  run("breaker: {failures: 1, open_for: 8s}");
  post("first", "");
  ASSERT_TRUE(eventually(kSoon, [&] { return upstream_status()["breaker"] == "open"; })) << gateway_->log();
  const size_t asked = upstream_.requests().size();
  for (const std::string key : {"a", "b", "c"}) {
    for (const std::string n : {"1", "2", "3"}) post(key + n, key, n == "1" && key == "b" ? "call_later" : "call");
  }
  ASSERT_TRUE(eventually(kSoon, [&] { return subscriber()["postponed"] >= 4; })) << gateway_->log();
  EXPECT_EQ(upstream_.requests().size(), asked) << "nothing is sent meanwhile";
  EXPECT_EQ(row("first")[1], "1") << "only this one was tried";
  for (const std::string id : {"a1", "b1", "c1"}) {
    EXPECT_EQ(row(id)[0], "queued");
    EXPECT_EQ(row(id)[1], "0");
    EXPECT_THAT(row(id)[2], HasSubstr("fails every time"));
  }
  const std::string shown = gateway_->command({"events", "show", row("a1")[3]}).out;
  EXPECT_THAT(shown, HasSubstr("attempts 0  waits until "));
  EXPECT_THAT(shown, HasSubstr("fails every time"));
  EXPECT_FALSE(upstream_status()["next_trial_at"].is_null());
  const std::string shown_metrics = metrics();
  EXPECT_THAT(shown_metrics, HasSubstr("\npostern_upstream_breaker_state{plugin=\"probe\",upstream=\"outside\",state=\"open\"} 1\n"));
  EXPECT_THAT(shown_metrics, HasSubstr("\npostern_upstream_requests_total{plugin=\"probe\",upstream=\"outside\",outcome=\"failed\"} 1\n"));
  EXPECT_THAT(shown_metrics, HasSubstr("\npostern_upstream_attempt_seconds_count{plugin=\"probe\",upstream=\"outside\"} 1\n"));
  EXPECT_THAT(shown_metrics, HasSubstr("\npostern_retries_total{plugin=\"probe\",subscriber=\"handlers\"} 1\n"));
  EXPECT_EQ(subscriber()["breaker"], "closed");
  EXPECT_EQ(subscriber()["failures"], 1) << "what was put off is none";

  down_ = false;
  ASSERT_TRUE(all_done()) << gateway_->log();
  EXPECT_EQ(row("first")[1], "2");
  std::map<std::string, std::vector<std::string>> order;
  for (const UpstreamRequest& request : upstream_.requests()) {
    if (request.target != "/first") order[request.target.substr(1, 1)].push_back(request.target.substr(2));
  }
  for (const std::string key : {"a", "b", "c"}) {
    EXPECT_THAT(order[key], ElementsAre("1", "2", "3")) << key;
    for (const std::string n : {"1", "2", "3"}) EXPECT_EQ(row(key + n)[0] + row(key + n)[1], "done1") << key + n;
  }
  EXPECT_THAT(gateway_->store().rows("SELECT * FROM attempt"), SizeIs(1)) << "what was put off is no attempt";
  EXPECT_TRUE(upstream_status()["next_trial_at"].is_null());
}

// Who waits does so through a restart; the breaker itself begins anew.
TEST_F(PostponeTest, ARestartChangesNothingForWhoWaits) {
  run("breaker: {failures: 1, open_for: 2s}");
  post("first", "");
  ASSERT_TRUE(eventually(kSoon, [&] { return upstream_status()["breaker"] == "open"; })) << gateway_->log();
  post("a1", "a");
  post("a2", "a");
  ASSERT_TRUE(eventually(kSoon, [&] { return row("a1")[2] != ""; })) << gateway_->log();
  const int64_t due_at = std::stoll(row("a1")[4]);
  gateway_->kill();
  down_ = false;
  gateway_->start();
  EXPECT_EQ(row("a1")[1], "0");
  ASSERT_TRUE(all_done()) << gateway_->log();
  EXPECT_GE(std::stoll(row("a1")[5]), due_at);
  for (const char* id : {"a1", "a2"}) EXPECT_EQ(row(id)[1], "1") << id;
}

// What the upstream asks for is passed on by the handler, and must not burn the attempts.
TEST_F(PostponeTest, ARetryAfterIsNoHaste) {
  more_ = "Retry-After: 1\r\n";
  run("breaker: {failures: 100}", "attempts: 2, base: 3s, jitter: 0");
  const auto began = Clock::now();
  post("a", "");
  ASSERT_TRUE(eventually(kSoon, [&] { return gateway_->store().state_of("a") == "dead"; })) << gateway_->log();
  EXPECT_GE(Clock::now() - began, milliseconds(3000)) << "the policy's wait";
  EXPECT_EQ(upstream_.requests().size(), 2u);
}

TEST_F(PostponeTest, FaultsOfUpstreamsAreToldWithTheirPlace) {
  run("breaker: {failures: 1}");
  const auto faults = [&](const std::string& upstreams) {
    const std::string file = gateway_->folder() + "/other.yaml";
    std::ofstream(file) << "gateway: {listen: [\"127.0.0.1:0\"]}\nplugins:\n  - name: probe\n    library: " << probe_library()
                        << "\n    config: {upstream: \"http://127.0.0.1:1\"}\n    upstreams:\n      " << upstreams << "\n";
    const Finished finished = testing::run(postern_binary(), {"check", "-c", file});
    EXPECT_EQ(finished.exit.code, 1) << finished.out;
    return finished.err;
  };
  EXPECT_THAT(faults("outsid: {deadline: 5s}"), HasSubstr(":7:7: plugin probe has no upstream 'outsid'; did you mean 'outside'?"));
  EXPECT_THAT(faults("outside: {allow_hosts: [ok.example, \"a b\"]}"), HasSubstr(":7:43: upstream 'outside': 'a b' is no host"));
  EXPECT_THAT(faults("outside: {retry: {base: 1h}}"), HasSubstr(":7:7: plugin probe: upstream 'outside': the first wait between attempts"));
  EXPECT_THAT(faults("outside: {deadlin: 5s}"), HasSubstr(":7:17: unknown key 'deadlin'; did you mean 'deadline'?"));
}

}  // namespace
}  // namespace postern::testing
