#include "core/observe/health.h"

#include <algorithm>
#include <thread>

#include "core/base/clock.h"
#include "core/base/json_text.h"

namespace postern::observe {
namespace {

constexpr std::chrono::milliseconds kStopWithin(2000);

void append_entry(const std::string& name, const HealthReport& report, bool with_details, std::string& out) {
  append_json_string(name, out);
  out += ":{\"status\":\"";
  out += to_text(report.status);
  out += "\",\"message\":";
  append_json_string(report.message, out);
  out += ",\"details\":";
  out += with_details && !report.details_json.empty() ? report.details_json : "{}";
  out += '}';
}

}  // namespace

const char* to_text(Health health) {
  switch (health) {
    case Health::kHealthy: return "healthy";
    case Health::kConfigured: return "configured";
    case Health::kDegraded: return "degraded";
    case Health::kUnhealthy: return "unhealthy";
  }
  return "unhealthy";
}

void HealthBoard::add(std::string name, std::chrono::milliseconds interval, Check check) {
  std::replace(name.begin(), name.end(), '-', '_');
  MutexLock lock(shared_->mutex);
  shared_->entries.push_back({std::move(name), interval, std::move(check), {}});
}

void HealthBoard::start() {
  MutexLock lock(shared_->mutex);
  for (size_t i = 0; i < shared_->entries.size(); ++i) {
    ++shared_->running;
    std::thread(run, shared_, i).detach();  // a check that hangs could not be joined
  }
}

void HealthBoard::run(std::shared_ptr<Shared> shared, size_t index) {
  Check check;
  std::chrono::milliseconds interval;
  {
    MutexLock lock(shared->mutex);
    check = shared->entries[index].check;
    interval = shared->entries[index].interval;
  }
  while (true) {
    HealthReport report = check();
    MutexLock lock(shared->mutex);
    shared->entries[index].report = std::move(report);
    int64_t until = steady_ms() + interval.count();
    while (!shared->stopping && steady_ms() < until) {
      shared->changed.wait_for(shared->mutex, std::chrono::milliseconds(std::max<int64_t>(1, until - steady_ms())));
    }
    if (!shared->stopping) continue;
    check = nullptr;
    --shared->running;
    shared->changed.notify_all();
    return;
  }
}

bool HealthBoard::stop() {
  MutexLock lock(shared_->mutex);
  shared_->stopping = true;
  shared_->changed.notify_all();
  int64_t until = steady_ms() + kStopWithin.count();
  while (shared_->running > 0 && steady_ms() < until) {
    shared_->changed.wait_for(shared_->mutex, std::chrono::milliseconds(std::max<int64_t>(1, until - steady_ms())));
  }
  return shared_->running == 0;
}

std::optional<std::string> HealthBoard::answer(std::string_view name, bool with_details) const {
  std::string wanted(name);
  std::replace(wanted.begin(), wanted.end(), '-', '_');
  std::string integrations;
  Health worst = Health::kHealthy;
  MutexLock lock(shared_->mutex);
  for (const Entry& entry : shared_->entries) {
    if (!wanted.empty() && entry.name != wanted) continue;
    if (!integrations.empty()) integrations += ',';
    append_entry(entry.name, entry.report, with_details, integrations);
    if (entry.report.status != Health::kConfigured) worst = std::max(worst, entry.report.status);
  }
  if (!wanted.empty() && integrations.empty()) return std::nullopt;
  return "{\"timestamp\":\"" + iso8601(wall_ms()) + "\",\"overall_status\":\"" + to_text(worst) + "\",\"integrations\":{" +
         integrations + "}}";
}

}  // namespace postern::observe
