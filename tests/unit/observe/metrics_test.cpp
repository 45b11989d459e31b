// What /metrics shows of what the rooms have counted: loops added up, the queue and its age, plugins' own metrics.
#include "core/observe/metrics.h"

#include <gmock/gmock.h>

#include "core/base/clock.h"
#include "tests/unit/store/store_support.h"

namespace postern::observe {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Kind = store::Settlement::Kind;

class MetricsTest : public store::testing::StoreTest {
 protected:
  MetricsTest() {
    targets_.add_handlers("acme", "handlers", {"order.*"});
    for (const char* provider : {"acme", "beta"}) {
      ingest::Route route;
      route.provider = provider;
      route.method = "POST";
      route.path = std::string("/") + provider;
      EXPECT_TRUE(routes_.add(std::move(route)));
    }
    dispatch::Subscriber& s = subscribers_.emplace_back();
    s.plugin = "acme";
    s.name = "handlers";
  }
  void SetUp() override {
    open();
    for (auto* meter : {&first_, &second_}) {
      *meter = std::make_unique<ingest::Meter>();
      (*meter)->adopt(routes_);
    }
    dispatcher_ = std::make_unique<dispatch::Dispatcher>(roster_, *store_, 1);
  }
  void TearDown() override { dispatcher_.reset(); }

  void count(ingest::Meter& meter, const std::string& provider, const std::string& type) {
    meter.received(provider, targets_.types().match(provider, type));
  }
  std::string text() {
    MetricSources sources{*store_, *dispatcher_, targets_.types(), {}, {}, {}, {}, 1'700'000'000'500};
    sources.loops = [this] { return std::vector<MetricSources::Loop>{{first_.get(), 2}, {second_.get(), 3}}; };
    sources.plugins.push_back({"acme", &metrics_});
    sources.services = services_;
    sources.standings = standings_;
    sources.upstreams = [this] { return upstreams_; };
    return metrics_text(sources);
  }

  std::shared_ptr<dispatch::Roster> roster_ = std::make_shared<dispatch::Roster>();
  std::vector<dispatch::Subscriber>& subscribers_ = roster_->subscribers;
  ingest::TargetTable& targets_ = roster_->targets;
  ingest::RouteTable routes_;
  std::unique_ptr<dispatch::Dispatcher> dispatcher_;
  std::unique_ptr<ingest::Meter> first_, second_;  // of two loops
  std::deque<postern_metric> metrics_;
  std::vector<std::shared_ptr<const plugin::Service>> services_;
  std::vector<plugin::Standing> standings_;
  std::vector<client::UpstreamStatus> upstreams_;
};

TEST_F(MetricsTest, ShowsUpstreamsByTheirDeclaredNames) {
  static constexpr double kSeconds[] = {0.5, 1};
  auto seconds = std::make_shared<Histogram>(kSeconds);
  for (double value : {0.25, 0.75, 7.0}) seconds->observe(value);
  client::UpstreamStatus& api = upstreams_.emplace_back();
  api.plugin = "acme";
  api.name = "api";
  api.retries = 2;
  api.ended[static_cast<size_t>(client::Outcome::Kind::kOk)] = 5;
  api.ended[static_cast<size_t>(client::Outcome::Kind::kBreakerOpen)] = 3;
  api.attempt_seconds = seconds;
  api.breaker = "half_open";
  api.opens = 4;
  api.in_flight = 1;
  api.waiting = 6;
  api.last_error = "GET https://secret.example/: answered 500";
  std::string shown = text();
  for (const char* line : {
           R"(postern_upstream_requests_total{plugin="acme",upstream="api",outcome="ok"} 5)",
           R"(postern_upstream_requests_total{plugin="acme",upstream="api",outcome="breaker_open"} 3)",
           R"(postern_upstream_requests_total{plugin="acme",upstream="api",outcome="cancelled"} 0)",
           R"(postern_upstream_retries_total{plugin="acme",upstream="api"} 2)",
           R"(postern_upstream_attempt_seconds_bucket{plugin="acme",upstream="api",le="1"} 2)",
           R"(postern_upstream_attempt_seconds_count{plugin="acme",upstream="api"} 3)",
           R"(postern_upstream_attempt_seconds_sum{plugin="acme",upstream="api"} 8)",
           R"(postern_upstream_in_flight{plugin="acme",upstream="api"} 1)",
           R"(postern_upstream_waiting{plugin="acme",upstream="api"} 6)",
           R"(postern_upstream_breaker_state{plugin="acme",upstream="api",state="half_open"} 1)",
           R"(postern_upstream_breaker_state{plugin="acme",upstream="api",state="open"} 0)",
           R"(postern_upstream_breaker_opens_total{plugin="acme",upstream="api"} 4)",
       }) {
    EXPECT_THAT(shown, HasSubstr("\n" + std::string(line) + "\n"));
  }
  EXPECT_THAT(shown, Not(HasSubstr("secret.example")));
  EXPECT_THAT(shown, HasSubstr("\npostern_postponed_total{plugin=\"acme\",subscriber=\"handlers\"} 0\n"));
  EXPECT_THAT(shown, HasSubstr("status=\"postpone\""));
}

TEST_F(MetricsTest, AddsTheLoopsUp) {
  count(*first_, "acme", "acme.order.paid");
  count(*second_, "acme", "acme.order.sent");
  count(*second_, "acme", "acme.who.knows");
  count(*second_, "beta", "beta.order.paid");
  first_->refused(404, ingest::Refusal::kNoRoute);
  second_->refused(404, ingest::Refusal::kNoRoute);
  second_->refused(599, ingest::Refusal::kMalformed);
  std::string shown = text();
  EXPECT_THAT(shown, HasSubstr("\nwebhook_received_total{type=\"acme.order.*\",source=\"acme\"} 2\n"));
  EXPECT_THAT(shown, HasSubstr("\nwebhook_received_total{type=\"other\",source=\"acme\"} 1\n"));
  EXPECT_THAT(shown, HasSubstr("\nwebhook_received_total{type=\"other\",source=\"beta\"} 1\n"));
  EXPECT_THAT(shown, Not(HasSubstr("type=\"acme.order.*\",source=\"beta\""))) << "beta has no such type";
  EXPECT_THAT(shown, HasSubstr("\npostern_refusals_total{status=\"404\",reason=\"no_route\"} 2\n"));
  EXPECT_THAT(shown, HasSubstr("\npostern_refusals_total{status=\"other\",reason=\"malformed\"} 1\n"));
  EXPECT_THAT(shown, HasSubstr("\npostern_connections 5\n"));
  EXPECT_THAT(shown, HasSubstr("\npostern_process_start_time_seconds 1700000000.5\n"));
}

TEST_F(MetricsTest, ShowsTheQueueAndTheAgeOfItsOldest) {
  EXPECT_THAT(text(), HasSubstr("\npostern_queue_age_seconds 0\n"));
  ingest::NewEvent event = store::testing::new_event(1, {{"acme", "handlers"}});
  event.received_at = wall_ms() - 3'600'000;
  put(std::move(event));
  ASSERT_TRUE(settled_.deliveries.wait_for(1));
  int64_t delivery = settled_.deliveries.take().front().seq;
  put_delivery(2);
  std::string shown = text();
  EXPECT_THAT(shown, HasSubstr("\nwebhook_queue_size 2\n"));
  EXPECT_THAT(shown, ::testing::ContainsRegex("\npostern_queue_age_seconds 36[0-9][0-9]"));
  settle(store::testing::settlement(delivery, Kind::kDead));
  shown = text();
  EXPECT_THAT(shown, HasSubstr("\nwebhook_queue_size 1\n"));
  EXPECT_THAT(shown, HasSubstr("\npostern_dead_deliveries 1\n"));
}

TEST_F(MetricsTest, AClockThatWasSetBackMakesNoNegativeAge) {
  ingest::NewEvent event = store::testing::new_event(1, {{"acme", "handlers"}});
  event.received_at = wall_ms() + 86'400'000;
  put(std::move(event));
  ASSERT_TRUE(settled_.deliveries.wait_for(1));
  EXPECT_THAT(text(), HasSubstr("\npostern_queue_age_seconds 0\n"));
}

TEST_F(MetricsTest, ShowsWhoCrashesAndIsHeld) {
  plugin::Standing acme, mail;
  acme.plugin = "acme";
  mail.plugin = "mail";
  mail.all = 7;
  mail.held_until = 1;
  standings_ = {acme, mail};
  std::string shown = text();
  EXPECT_THAT(shown, HasSubstr("\npostern_plugin_crashes_total{plugin=\"acme\"} 0\n"));
  EXPECT_THAT(shown, HasSubstr("\npostern_plugin_quarantined{plugin=\"acme\"} 0\n"));
  EXPECT_THAT(shown, HasSubstr("\npostern_plugin_crashes_total{plugin=\"mail\"} 7\n"));
  EXPECT_THAT(shown, HasSubstr("\npostern_plugin_quarantined{plugin=\"mail\"} 1\n"));
}

TEST_F(MetricsTest, ShowsWhatBecameOfCallsOfServices) {
  auto service = std::make_shared<plugin::Service>("mail/1", "acme", nullptr, nullptr, nullptr);
  services_ = {service};
  EXPECT_THAT(text(), HasSubstr("\npostern_service_calls_total{service=\"mail/1\",status=\"ok\"} 0\n"));
  EXPECT_THAT(text(), Not(HasSubstr("status=\"gone\""))) << "there from the first one on";
  service->count(POSTERN_OK);
  service->count(POSTERN_E_GONE);
  service->count(-77);
  std::string shown = text();
  for (const char* status : {"ok", "gone", "internal"}) {
    EXPECT_THAT(shown, HasSubstr("\npostern_service_calls_total{service=\"mail/1\",status=\"" + std::string(status) + "\"} 1\n"));
  }
}

TEST_F(MetricsTest, ShowsPluginsMetricsUnderTheirNames) {
  postern_metric& counter = metrics_.emplace_back();
  counter.kind = POSTERN_METRIC_COUNTER;
  counter.name = "calls_total";
  counter.help = "Calls.";
  counter.labels = {"how"};
  for (const char* value : {"well", "bad\"ly"}) counter.series.emplace_back(counter.buckets).values = {value};
  counter.series[1].counter.add(4);
  postern_metric& gauge = metrics_.emplace_back();
  gauge.kind = POSTERN_METRIC_GAUGE;
  gauge.name = "level";
  gauge.help = "Level.";
  gauge.series.emplace_back(gauge.buckets).gauge = 2.5;
  std::string shown = text();
  EXPECT_THAT(shown, HasSubstr("# TYPE postern_plugin_acme_calls_total counter\n"));
  EXPECT_THAT(shown, HasSubstr("\npostern_plugin_acme_calls_total{how=\"well\"} 0\n"));
  EXPECT_THAT(shown, HasSubstr("\npostern_plugin_acme_calls_total{how=\"bad\\\"ly\"} 4\n"));
  EXPECT_THAT(shown, HasSubstr("\npostern_plugin_acme_level 2.5\n"));
}

}  // namespace
}  // namespace postern::observe
