#include "core/observe/health.h"

#include <algorithm>
#include <thread>

#include "core/base/clock.h"
#include "core/base/json_text.h"
#include "core/base/thread_name.h"

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

std::shared_ptr<HealthBoard::Entry> HealthBoard::make_entry(Check check) {
  std::replace(check.name.begin(), check.name.end(), '-', '_');
  auto entry = std::make_shared<Entry>();
  entry->check = std::move(check);
  return entry;
}

void HealthBoard::add(std::string name, std::chrono::milliseconds interval, std::function<HealthReport()> function) {
  auto entry = make_entry({std::move(name), interval, std::move(function)});
  entry->for_good = true;
  MutexLock lock(shared_->mutex);
  shared_->entries.push_back(std::move(entry));
}

void HealthBoard::set(std::vector<Check> checks) {
  std::vector<std::shared_ptr<Entry>> before;  // they end after the lock, and perhaps a plugin with them
  MutexLock lock(shared_->mutex);
  std::vector<std::shared_ptr<Entry>> entries;
  for (auto& entry : shared_->entries) (entry->for_good ? entries : before).push_back(std::move(entry));
  for (Check& check : checks) {
    auto entry = entries.emplace_back(make_entry(std::move(check)));
    auto same = std::find_if(before.begin(), before.end(), [&](const auto& other) { return other->check.name == entry->check.name; });
    if (same != before.end()) entry->report = (*same)->report;
    if (shared_->started) spawn(shared_, entry);
  }
  for (const auto& entry : before) entry->ended = true;
  shared_->entries = std::move(entries);
  shared_->changed.notify_all();
}

void HealthBoard::start() {
  MutexLock lock(shared_->mutex);
  shared_->started = true;
  for (const auto& entry : shared_->entries) spawn(shared_, entry);
}

void HealthBoard::spawn(const std::shared_ptr<Shared>& shared, const std::shared_ptr<Entry>& entry) {
  ++shared->running;
  std::thread([shared, entry]() mutable { run(shared, std::move(entry)); }).detach();  // one that hangs could not be joined
}

void HealthBoard::run(const std::shared_ptr<Shared>& shared, std::shared_ptr<Entry> entry) {
  name_thread("health");
  bool goes_on = true;
  while (goes_on) {
    HealthReport report = entry->check.function();
    MutexLock lock(shared->mutex);
    entry->report = std::move(report);
    int64_t until = steady_ms() + entry->check.interval.count();
    while (!shared->stopping && !entry->ended && steady_ms() < until) {
      shared->changed.wait_for(shared->mutex, std::chrono::milliseconds(std::max<int64_t>(1, until - steady_ms())));
    }
    goes_on = !shared->stopping && !entry->ended;
  }
  entry->check.function = nullptr;  // and with it a plugin, perhaps
  MutexLock lock(shared->mutex);
  --shared->running;
  shared->changed.notify_all();
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
  for (const auto& entry : shared_->entries) {
    if (!wanted.empty() && entry->check.name != wanted) continue;
    if (!integrations.empty()) integrations += ',';
    append_entry(entry->check.name, entry->report, with_details, integrations);
    if (entry->report.status != Health::kConfigured) worst = std::max(worst, entry->report.status);
  }
  if (!wanted.empty() && integrations.empty()) return std::nullopt;
  return "{\"timestamp\":\"" + iso8601(wall_ms()) + "\",\"overall_status\":\"" + to_text(worst) + "\",\"integrations\":{" +
         integrations + "}}";
}

}  // namespace postern::observe
