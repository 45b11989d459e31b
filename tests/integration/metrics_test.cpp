// /metrics of the real daemon: what it counts, who may see it, and that nobody can make series by sending.
#include <gmock/gmock.h>

#include <cstdlib>
#include <map>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>

#include "tests/integration/probe_gateway.h"

namespace postern::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr milliseconds kSoon(20'000);

using Series = std::map<std::string, double>;  // by name and labels as they are written

Series parse(const std::string& text) {
  Series series;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("#")) continue;
    const size_t space = line.rfind(' ');
    if (space == std::string::npos) throw std::runtime_error("not a line of metrics: " + line);
    const bool is_new = series.emplace(line.substr(0, space), std::strtod(line.c_str() + space, nullptr)).second;
    EXPECT_TRUE(is_new) << "twice: " << line;
  }
  return series;
}

class MetricsTest : public ::testing::Test {
 protected:
  void run(const std::string& dispatch = "retry: {attempts: 3, base: 10ms, factor: 1, jitter: 0}", const std::string& admin = "") {
    gateway_ = std::make_unique<Gateway>(
        GatewayOptions{.admin = "listen: \"127.0.0.1:" + std::to_string(admin_port_) + "\", token: " + token_ + admin,
                       .dispatch = dispatch,
                       .plugins = probe_entry()});
  }
  Response ask(const std::string& target, const std::string& token) const {
    WireClient client = WireClient::tcp("127.0.0.1", admin_port_);
    Headers headers;
    if (!token.empty()) headers.emplace_back("Authorization", "Bearer " + token);
    client.send(request_text("GET", target, headers));
    const auto response = client.read_response();
    if (!response) throw std::runtime_error("no answer\n" + gateway_->log());
    return *response;
  }
  std::string text() const {
    const Response response = ask("/metrics", token_);
    EXPECT_EQ(response.status, 200);
    return response.body;
  }
  Series series() const { return parse(text()); }
  double at(const std::string& name) const {
    const Series all = series();
    const auto found = all.find(name);
    return found == all.end() ? -1 : found->second;
  }
  bool comes_to(const std::string& name, double value) const {
    const bool came = eventually(kSoon, [&] { return at(name) == value; });
    if (!came) ADD_FAILURE() << name << " is " << at(name) << ", not " << value << "\n" << gateway_->log();
    return came;
  }
  int post(const std::string& id, const std::string& what) const {
    WireClient client = gateway_->connect();
    client.send(probe_request(id, what));
    const auto response = client.read_response();
    return response ? response->status : 0;
  }

  const uint16_t admin_port_ = free_port();
  const std::string token_ = hex(random_bytes(32));
  std::unique_ptr<Gateway> gateway_;
};

TEST_F(MetricsTest, CountWhatHappens) {
  run();
  // One after the other: two handlers on one record would run again, which costs no attempt but is a run to the plugin.
  const auto handle = [&](const std::string& id, const std::string& what) {
    EXPECT_EQ(post(id, what), 200);
    comes_to("webhook_queue_size", 0);
  };
  for (const char* id : {"a", "b", "c"}) handle(id, "done");
  handle("a", "done");  // a duplicate
  handle("d", "dead");
  handle("e", "retry");       // three attempts
  handle("f", "retry_once");  // two
  ASSERT_TRUE(comes_to(R"(webhook_processed_total{type="probe.*",status="dead"})", 2));
  ASSERT_TRUE(comes_to(R"(webhook_processed_total{type="probe.*",status="done"})", 4));
  EXPECT_EQ(at(R"(webhook_processed_total{type="probe.*",status="retry"})"), 3);
  EXPECT_EQ(at(R"(webhook_received_total{type="probe.*",source="probe"})"), 7);
  EXPECT_EQ(at(R"(webhook_processing_seconds_count{type="probe.*"})"), 9);
  EXPECT_EQ(at(R"(webhook_processing_seconds_bucket{type="probe.*",le="+Inf"})"), 9);
  EXPECT_EQ(at("webhook_queue_size"), 0);
  EXPECT_EQ(at("postern_queue_age_seconds"), 0);
  EXPECT_EQ(at("postern_duplicates_total"), 1);
  EXPECT_EQ(at("postern_events_stored_total"), 6);
  EXPECT_EQ(at("postern_dead_deliveries"), 2);
  EXPECT_EQ(at(R"(postern_retries_total{plugin="probe",subscriber="handlers"})"), 3);
  EXPECT_EQ(at(R"(postern_dead_total{plugin="probe",subscriber="handlers"})"), 2);
  EXPECT_EQ(at("postern_batch_events_sum"), 7) << "the duplicate went into a batch as well";
  EXPECT_EQ(at("postern_commit_seconds_count"), at("postern_batches_total"));
  EXPECT_GT(at("postern_store_bytes"), 0);
  EXPECT_EQ(at(R"(postern_plugin_probe_runs_total{asked="done"})"), 3);
  EXPECT_EQ(at(R"(postern_plugin_probe_runs_total{asked="dead"})"), 1);
  EXPECT_EQ(at(R"(postern_plugin_probe_runs_total{asked="other"})"), 5);
  EXPECT_EQ(at("postern_plugin_probe_body_bytes_count"), 9);
}

TEST_F(MetricsTest, CountRefusals) {
  run();
  EXPECT_EQ(gateway_->request("GET", "/nowhere").status, 404);
  EXPECT_EQ(gateway_->request("GET", "/probe").status, 405);
  EXPECT_EQ(gateway_->request("POST", "/probe", {{"Content-Type", "text/plain"}}, "x").status, 415);
  EXPECT_EQ(gateway_->request("POST", "/probe", {{"Content-Type", "application/json"}}, "x").status, 422);
  EXPECT_EQ(gateway_->post({}, "{}").status, 401);
  WireClient broken = gateway_->connect();
  broken.send("GET / HTTP/1.1\r\n\r\n");  // no Host
  EXPECT_EQ(broken.read_response()->status, 400);
  const Series all = series();
  for (const char* labels :
       {R"(status="404",reason="no_route")", R"(status="405",reason="no_method")", R"(status="415",reason="content_type")",
        R"(status="422",reason="body")", R"(status="401",reason="signature_missing")", R"(status="400",reason="malformed")"}) {
    const std::string name = std::string("postern_refusals_total{") + labels + "}";
    EXPECT_EQ(all.contains(name) ? all.at(name) : -1, 1) << name;
  }
  EXPECT_EQ(all.at(R"(webhook_received_total{type="probe.*",source="probe"})"), 0) << "none of these was one";
}

TEST_F(MetricsTest, QueueAndBreakerShowWhileTheyLast) {
  run("retry: {attempts: 9, base: 10m}, breaker: {failures: 2, open_for: 10m}");
  for (const char* id : {"a", "b", "c"}) ASSERT_EQ(post(id, "retry"), 200);
  ASSERT_TRUE(comes_to(R"(postern_breaker_state{plugin="probe",subscriber="handlers",state="open"})", 1));
  EXPECT_EQ(at(R"(postern_breaker_state{plugin="probe",subscriber="handlers",state="closed"})"), 0);
  EXPECT_EQ(at(R"(postern_breaker_opens_total{plugin="probe",subscriber="handlers"})"), 1);
  EXPECT_EQ(at("webhook_queue_size"), 3);
  EXPECT_TRUE(eventually(kSoon, [&] { return at("postern_queue_age_seconds") > 0; }));
}

TEST_F(MetricsTest, NobodyMakesSeriesBySending) {
  run();
  // One of each kind of request, so that what is shown only once it is not zero is there.
  const auto flood = [&](int count, const std::string& seed) {
    std::string requests;
    for (int i = 0; i < count; ++i) {
      const std::string n = seed + std::to_string(i);
      requests += request_text("POST", "/probe", {{"Content-Type", "application/json"}},
                               R"({"id":")" + n + R"(","type":"type.)" + n + R"(","key":")" + n + R"(","do":"done"})");
      requests += request_text("GET", "/nowhere/" + n, {{"X-" + n, n}});
    }
    WireClient client = gateway_->connect();
    client.send(requests);
    for (int i = 0; i < 2 * count; ++i) {
      const auto response = client.read_response(kSoon);
      ASSERT_TRUE(response);
      ASSERT_EQ(response->status, i % 2 == 0 ? 200 : 404);
    }
  };
  const auto names = [&] {
    std::set<std::string> all;
    for (const auto& [name, value] : series()) all.insert(name);
    return all;
  };
  flood(1, "first");
  ASSERT_TRUE(comes_to(R"(webhook_processed_total{type="probe.*",status="done"})", 1));
  const std::set<std::string> before = names();
  constexpr int kTypes = 10'000, kSlice = 500;
  for (int i = 0; i < kTypes / kSlice; ++i) flood(kSlice, "flood" + std::to_string(i) + "x");
  ASSERT_TRUE(comes_to(R"(webhook_processed_total{type="probe.*",status="done"})", kTypes + 1));
  EXPECT_EQ(at(R"(webhook_received_total{type="probe.*",source="probe"})"), kTypes + 1);
  EXPECT_EQ(at(R"(postern_refusals_total{status="404",reason="no_route"})"), kTypes + 1);
  EXPECT_EQ(names(), before);
  EXPECT_THAT(text(), Not(HasSubstr("flood")));
}

TEST_F(MetricsTest, NeedTheToken) {
  run();
  EXPECT_EQ(ask("/metrics", "").status, 401);
  EXPECT_EQ(ask("/metrics", "wrong").status, 401);
  EXPECT_EQ(ask("/metrics", token_).status, 200);
  EXPECT_EQ(ask("/metrics", token_).header("Content-Type").value_or(""), "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_EQ(gateway_->request("GET", "/metrics").status, 404) << "nothing in public";
  WireClient socket = WireClient::unix_socket(gateway_->socket_path());
  socket.send(request_text("GET", "/metrics", {}));
  EXPECT_EQ(socket.read_response()->status, 200) << "the file's permissions guard the socket";
  for (const std::string& secret : {token_, gateway_->standard_secret(), gateway_->legacy_key(), gateway_->own_secret()}) {
    EXPECT_THAT(text(), Not(HasSubstr(secret)));
  }
}

TEST_F(MetricsTest, MayBeOpen) {
  run("", ", open_metrics: true");
  EXPECT_EQ(ask("/metrics", "").status, 200);
  EXPECT_EQ(ask("/admin/v1/status", "").status, 401) << "nothing else is";
  EXPECT_EQ(gateway_->request("GET", "/metrics").status, 404);
}

// One plugin's name and metric may read like another's.
TEST_F(MetricsTest, TwoInstancesAreToldApart) {
  gateway_ = std::make_unique<Gateway>(
      GatewayOptions{.admin = "listen: \"127.0.0.1:" + std::to_string(admin_port_) + "\", token: " + token_,
                     .plugins = probe_entry() + probe_at("other", "/other")});
  ASSERT_EQ(post("a", "done"), 200);
  ASSERT_TRUE(comes_to(R"(postern_plugin_probe_runs_total{asked="done"})", 1));
  EXPECT_EQ(at(R"(postern_plugin_other_runs_total{asked="done"})"), 0);
  EXPECT_EQ(at(R"(webhook_received_total{type="other.*",source="other"})"), 0);
}

TEST_F(MetricsTest, TimersThatWaitAndThatHaveFired) {
  run();
  const auto set = [&](const std::string& id, const std::string& ms) {
    const std::string body = R"({"id":")" + id + R"(","type":"test","do":"set_timer","timer":")" + id + R"(","ms":")" + ms + "\"}";
    EXPECT_EQ(gateway_->request("POST", "/probe", {{"Content-Type", "application/json"}}, body).status, 200);
  };
  EXPECT_EQ(at("postern_timers_waiting{plugin=\"probe\"}"), 0);
  EXPECT_EQ(at("postern_timers_fired_total"), 0);
  set("later", "3600000");
  comes_to("postern_timers_waiting{plugin=\"probe\"}", 1);
  set("now", "0");
  comes_to("postern_timers_fired_total", 1);
  EXPECT_EQ(at("postern_timers_late_total"), 0);
  EXPECT_EQ(at("postern_timers_waiting{plugin=\"probe\"}"), 1);
}

}  // namespace
}  // namespace postern::testing
