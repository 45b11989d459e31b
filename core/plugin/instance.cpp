#include "core/plugin/instance.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/base/log.h"
#include "core/ingest/glob.h"
#include "core/plugin/call.h"
#include "core/plugin/start_watch.h"

namespace postern::plugin {
namespace {

config::Fault to_fault(const ConfigFault& fault, const config::Plugin& config, const Surroundings& surroundings) {
  if (!fault.subscription) {
    return {config::nearest(config.config_marks, fault.pointer, config.mark), "plugin " + config.name + ": " + fault.text};
  }
  const config::Subscription& subscription = *surroundings.subscriptions[*fault.subscription];
  return {config::nearest(subscription.with_marks, fault.pointer, subscription.mark),
          "subscription " + subscription.name + " to plugin " + config.name + ": " + fault.text};
}

}  // namespace

Result<std::unique_ptr<Instance>> Instance::make(std::shared_ptr<const Library> library, const config::Plugin& config,
                                                 const Surroundings& surroundings, const postern_host_api& api,
                                                 std::vector<config::Fault>& faults) {
  std::unique_ptr<Instance> instance(new Instance());
  instance->library_ = std::move(library);
  instance->host_ = std::make_unique<postern_host>();
  instance->host_->name = config.name;
  instance->host_->surroundings = surroundings;
  instance->note();
  log::Scope scope("-", instance->host_->name);
  StartWatch watch(instance->host_->name);
  if (Status s = instance->create(api); !s) return s.with_context("plugin " + config.name);

  instance->host_->phase = postern_host::Phase::kInit;
  watch.calls("init");
  postern_status status = guarded(instance->site(EntryPoint::kInit), [&] {
    return instance->functions_.init(instance->self_, {config.config_json.data(), config.config_json.size()});
  });
  instance->host_->phase = postern_host::Phase::kReady;
  instance->host_->surroundings.subscriptions.clear();
  for (const ConfigFault& fault : instance->registrations().faults) {
    faults.push_back(to_fault(fault, config, surroundings));
  }
  if (status < 0) {
    std::string own = take_error();
    const std::string& refusal = instance->registrations().refusal;
    if (own.empty()) own = refusal.empty() ? explain(status) : refusal;
    if (!refusal.empty() && own != refusal) own += " (refused before: " + refusal + ")";
    return Status(Code::kInvalid, "plugin " + config.name + ": init: " + own);
  }
  if (const std::string& refusal = instance->registrations().refusal; !refusal.empty()) {
    log::warn("the plugin goes on without a registration that was refused", {{"reason", refusal}});
  }
  if (!instance->registrations().faults.empty()) return Status(Code::kInvalid, "plugin " + config.name + ": its config is not valid");
  return instance;
}

// So that what ends the gateway inside of it is known for its.
void Instance::note() {
  CrashRecord* record = CrashRecord::current();
  if (record == nullptr) return;
  const void* inside = reinterpret_cast<const void*>(library_->entry().create);
  host_->crash_number = record->add_plugin(host_->name, library_->build(), library_->path(), inside);
}

Status Instance::create(const postern_host_api& api) {
  const postern_plugin* theirs = nullptr;
  postern_status status = guarded(site(EntryPoint::kCreate), [&] { return library_->entry().create(&api, host_.get(), &theirs, &self_); });
  host_->self = self_;
  if (status < 0) return {Code::kInvalid, "create: " + explain(status)};
  if (theirs == nullptr) return {Code::kInvalid, "create: gave no functions"};
  std::memcpy(&functions_, theirs, std::min<size_t>(theirs->struct_size, sizeof functions_));
  if (functions_.init == nullptr || functions_.destroy == nullptr) {
    return {Code::kInvalid, "create: init and destroy are required"};
  }
  return Status::ok();
}

Instance::~Instance() {
  if (functions_.destroy == nullptr) return;
  host_->phase = postern_host::Phase::kDown;
  for (const auto& service : registrations().services) service->close();
  guarded(site(EntryPoint::kDestroy), [&] {
    functions_.destroy(self_);
    return POSTERN_OK;
  });
}

Status Instance::activate() {
  if (held_) return Status::ok();
  log::Scope scope("-", host_->name);
  postern_status status = POSTERN_OK;
  if (functions_.activate != nullptr) status = guarded(site(EntryPoint::kActivate), [&] { return functions_.activate(self_); });
  if (status < 0) return {Code::kInternal, "plugin " + host_->name + ": activate: " + explain(status)};
  active_ = true;
  host_->phase = postern_host::Phase::kActive;
  for (const auto& service : registrations().services) service->open();
  return Status::ok();
}

void Instance::join(const ServiceDirectory& directory) {
  for (ServiceWish& wish : host_->registrations.wishes) wish.service = directory.find(wish.name);
}

bool Instance::close_services(int64_t until_ms) {
  const auto& services = registrations().services;
  for (const auto& service : services) service->close();
  return std::all_of(services.begin(), services.end(), [&](const auto& service) { return service->wait_until_empty(until_ms); });
}

void Instance::deactivate(uint32_t drain_ms) {
  log::Scope scope("-", host_->name);
  host_->phase = postern_host::Phase::kDown;
  for (const auto& service : registrations().services) service->close();
  if (functions_.deactivate == nullptr || !std::exchange(active_, false)) return;
  guarded(site(EntryPoint::kDeactivate), [&] {
    functions_.deactivate(self_, drain_ms);
    return POSTERN_OK;
  });
}

dispatch::HandlerResult Instance::handle(dispatch::Delivery& delivery) {
  const std::string& type = delivery.event().type;
  for (const Handler& handler : registrations().handlers) {
    if (ingest::matches_type(handler.glob, name(), type)) return handle(handler, delivery);
  }
  // Stored when the plugin still had one.
  return {dispatch::HandlerOutcome::kDead, "the plugin has no handler for " + type + " any more"};
}

dispatch::HandlerResult Instance::handle(const Handler& handler, dispatch::Delivery& delivery) {
  using dispatch::HandlerOutcome;
  postern_status status = guarded(site(EntryPoint::kHandler, delivery.seq()),
                                  [&] { return handler.function(self_, handler.user, reinterpret_cast<postern_delivery*>(&delivery)); });
  switch (status) {
    case POSTERN_OK: return {HandlerOutcome::kDone, {}};
    case POSTERN_PENDING: return {HandlerOutcome::kPending, {}};
    case POSTERN_DEAD: return {HandlerOutcome::kDead, take_error()};
    case POSTERN_RETRY: return {HandlerOutcome::kRetry, take_error()};
    case POSTERN_POSTPONE: return {HandlerOutcome::kPostpone, take_error()};
    default: break;
  }
  if (status > 0) return {HandlerOutcome::kRetry, "the handler returned the unknown status " + std::to_string(status)};
  return {HandlerOutcome::kRetry, explain(status)};
}

Status Instance::check(const HealthCheck& check, postern_health_report* report) {
  if (held_) return {Code::kUnavailable, "the plugin has crashed too often, and is not called"};
  log::Scope scope("-", host_->name);
  postern_status status = guarded(site(EntryPoint::kHealth), [&] { return check.function(self_, check.user, report); });
  return status < 0 ? Status(Code::kInternal, explain(status)) : Status::ok();
}

}  // namespace postern::plugin
