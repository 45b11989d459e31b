// What /api/health/ says of the gateway itself and of its plugins. A check's message is public, its details are not: numbers, paths and
// the store's own words stand there.
#include <nlohmann/json.hpp>

#include "core/base/clock.h"
#include "core/extension/table.h"
#include "core/gateway/gateway.h"
#include "core/observe/success_window.h"

namespace postern::gateway {
namespace {

using observe::Health;
using observe::HealthReport;

constexpr std::chrono::milliseconds kInterval(30'000);  // of plugins' checks that set none
constexpr std::chrono::milliseconds kStoreInterval(5'000);
constexpr std::chrono::milliseconds kDispatchInterval(1'000);

HealthReport to_report(const Status& status, const postern_health_report& report) {
  if (!status) return {Health::kUnhealthy, status.message(), "{}"};
  switch (report.status) {
    case POSTERN_HEALTHY: return {Health::kHealthy, report.message, report.details_json};
    case POSTERN_CONFIGURED: return {Health::kConfigured, report.message, report.details_json};
    case POSTERN_DEGRADED: return {Health::kDegraded, report.message, report.details_json};
    default: return {Health::kUnhealthy, report.message.empty() ? "the check gave no result" : report.message, report.details_json};
  }
}

HealthReport check_database(const store::Store& store, const std::string& path) {
  Status accepting = store.condition();
  store::Counters counters = store.counters();
  nlohmann::json details = {{"kind", "sqlite"},
                            {"path", path},
                            {"size_bytes", store.size_bytes()},
                            {"queued", counters.open},
                            {"dead", counters.dead},
                            {"batches", counters.batches},
                            {"failed_batches", store.meter().failed_batches.value()},
                            {"last_batch_error", accepting ? nlohmann::json(nullptr) : nlohmann::json(accepting.message())}};
  std::string shown = details.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  if (accepting) return {Health::kHealthy, "events are stored", std::move(shown)};
  bool full = accepting.code() == Code::kLimit;
  return {Health::kUnhealthy, full ? "there is no room for more events" : "events cannot be stored", std::move(shown)};
}

// `held`: plugins in quarantine.
HealthReport check_dispatch(uint64_t waiting, const observe::SuccessWindow::Seen& seen, const config::Health& limits,
                            const std::vector<std::string>& held) {
  nlohmann::json details = {{"waiting", waiting},
                            {"max_waiting", limits.max_waiting},
                            {"succeeded", seen.succeeded},
                            {"failed", seen.failed},
                            {"success", seen.share()},
                            {"min_success", limits.min_success},
                            {"window_ms", limits.window.count()},
                            {"quarantined", held}};
  bool too_many = waiting > limits.max_waiting, too_few = seen.share() < limits.min_success;
  if (too_many && too_few) return {Health::kDegraded, "too many deliveries wait, and too few runs of handlers succeed", details.dump()};
  if (!held.empty()) return {Health::kDegraded, "a plugin has crashed too often, and is not called", details.dump()};
  if (too_many) return {Health::kDegraded, "too many deliveries wait", details.dump()};
  if (too_few) return {Health::kDegraded, "too few runs of handlers succeed", details.dump()};
  return {Health::kHealthy, "deliveries are handled", details.dump()};
}

}  // namespace

void Gateway::add_health_checks() {
  health_.add("database", kStoreInterval, [this] { return check_database(*store_, config_.store_path); });
  auto window = std::make_shared<observe::SuccessWindow>(config_.health.window.count());
  health_.add("dispatch", kDispatchInterval, [this, window] {
    const config::Health limits = generations_.current()->config.health;
    dispatch::Meter::Totals runs = dispatcher_->meter().totals();
    int64_t length_ms = limits.window.count();
    if (window->length_ms() != length_ms) window->begin_again(length_ms, steady_ms(), runs.succeeded, runs.failed);
    std::vector<std::string> held;
    for (const plugin::Standing& s : generations_.current()->assembly->standings()) {
      if (s.held_until != 0) held.push_back(s.plugin);
    }
    return check_dispatch(store_->counters().open, window->look(steady_ms(), runs.succeeded, runs.failed), limits, held);
  });
  health_.add("webhook_url", kInterval, [this]() -> HealthReport {
    const std::string url = generations_.current()->config.public_url;
    if (url.empty()) return {Health::kDegraded, "gateway.public_url is not set", "{}"};
    return {Health::kConfigured, "providers call the public URL", nlohmann::json({{"public_url", url}}).dump()};
  });
}

void Gateway::set_health_checks(const std::shared_ptr<const Generation>& generation) {
  std::vector<observe::HealthBoard::Check> checks;
  for (const Assembly::HealthCheck& c : generation->assembly->health_checks()) {
    auto interval = c.check->interval_ms == 0 ? kInterval : std::chrono::milliseconds(c.check->interval_ms);
    checks.push_back({c.name, interval, [generation, instance = c.instance, check = c.check] {
                        postern_health_report report;
                        Status status = instance->check(*check, &report);
                        return to_report(status, report);
                      }});
  }
  health_.set(std::move(checks));
}

}  // namespace postern::gateway
