// The life of an instance, and the way of a delivery through its runs.
#include "postern/testing/fake_host.h"

#include <algorithm>
#include <cstring>

#include "host_state.h"

namespace postern::testing {
namespace {

constexpr uint32_t kMaxReruns = 100;  // a handler that never reads the version it writes with would run for ever

const void* get_extension(postern_host* handle, postern_str id) {
  HostState& host = HostState::of(handle);
  std::string wanted = to_string(id);
  std::lock_guard lock(host.mutex);
  if (host.phase == Phase::kCreating) host.misuses.push_back("get_extension() in create");
  const auto& without = host.options.without;
  if (std::find(without.begin(), without.end(), wanted) != without.end()) return nullptr;
  return find_table(wanted);
}

void set_error(postern_host* handle, postern_str text) {
  HostState& host = HostState::of(handle);
  std::lock_guard lock(host.mutex);
  if (host.phase == Phase::kCreating) host.misuses.push_back("set_error() in create");
  host.errors[std::this_thread::get_id()] = to_string(text);
}

void config_fault(postern_host* handle, postern_str pointer, postern_str text) {
  HostState& host = HostState::of(handle);
  std::lock_guard lock(host.mutex);
  if (host.phase != Phase::kInit) {
    host.misuses.push_back("config_fault() outside init");
    return;
  }
  host.faults.push_back({to_string(pointer), to_string(text), {}});
}

postern_str plugin_name(postern_host* handle) {
  const std::string& name = HostState::of(handle).options.name;
  return {name.data(), name.size()};
}

// '*' stands for any text. Linear back-tracking: only the last star can be wrong.
bool matches(std::string_view glob, std::string_view text) {
  size_t g = 0, t = 0, star = std::string_view::npos, resume = 0;
  while (t < text.size()) {
    if (g < glob.size() && glob[g] == '*') {
      star = g++;
      resume = t;
    } else if (g < glob.size() && glob[g] == text[t]) {
      ++g, ++t;
    } else if (star != std::string_view::npos) {
      g = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  return glob.find_first_not_of('*', g) == std::string_view::npos;
}

std::optional<Handler> find_handler(const HostState& host, const Event& event) {
  if (!event.with.empty()) return host.subscription_handler;
  std::string_view whole = event.type;
  std::string prefix = host.options.name + ".";
  bool own = whole.starts_with(prefix);
  for (const Handler& handler : host.handlers) {
    if (!event.provider.empty() && event.provider != host.options.name) break;  // handlers take the plugin's own events alone
    if (matches(handler.glob, whole) || (own && matches(handler.glob, whole.substr(prefix.size())))) return handler;
  }
  for (const auto& [name, handler] : host.own_subscriptions) {
    if (matches(handler.glob, whole)) return handler;
  }
  return std::nullopt;
}

std::string fault_of(const postern_plugin_entry& entry, const Options& options) {
  if (entry.abi_major != POSTERN_ABI_MAJOR) return "the plugin is made for another major version of the ABI";
  if (entry.id.len == 0 || entry.version.len == 0) return "the descriptor has no id or no version";
  if (entry.create == nullptr) return "the descriptor has no create function";
  for (size_t i = 0; i < entry.requires_len; ++i) {
    std::string id = to_string(entry.requires_ext[i]);
    bool left_out = std::find(options.without.begin(), options.without.end(), id) != options.without.end();
    if (left_out || find_table(id) == nullptr)
      return "this host has no extension " + id + ", which the plugin requires";
  }
  return {};
}

}  // namespace

HostState::HostState(const postern_plugin_entry& e, Options o) : entry(e), options(std::move(o)) {
  postern_host_api api{sizeof(postern_host_api), POSTERN_ABI_MAJOR, POSTERN_ABI_MINOR, 0, {"fake", 4}, {"0", 1},
                       &get_extension,           &set_error,        &config_fault, &plugin_name};
  size_t size = options.host_api_size == 0 ? sizeof api : std::min(options.host_api_size, sizeof api);
  api.struct_size = static_cast<uint32_t>(size);
  api_bytes = std::make_unique<char[]>(size);
  std::memcpy(api_bytes.get(), &api, size);
  while (options.public_url.ends_with('/')) options.public_url.pop_back();
}

std::string HostState::take_error() { return std::exchange(errors[std::this_thread::get_id()], {}); }

postern_status HostState::refuse(const std::string& why) {
  refusals.push_back(why);
  return POSTERN_E_INVALID;
}

// Runs the handler until a run settles without a conflict of versions, or is pending.
Settled HostState::run(DeliveryState& delivery) {
  for (;;) {
    Attempt* attempt = nullptr;
    {
      std::lock_guard lock(mutex);
      attempt = &attempts.emplace_back();
      attempt->host = this;
      attempt->delivery = &delivery;
      const Event& event = delivery.event;
      attempt->request = &view_of({event.method, event.target, event.headers, event.body, event.remote, {}, {}});
      delivery.current = attempt;
      delivery.rerun_wanted = false;
      take_error();
    }
    postern_status outcome =
        delivery.handler.call(instance, delivery.handler.user, reinterpret_cast<postern_delivery*>(attempt));
    std::function<void()> hook;
    {
      std::lock_guard lock(mutex);
      if (outcome == POSTERN_PENDING && !attempt->completed) {
        attempt->life = Attempt::Life::kPending;
        return {delivery.number, true, POSTERN_PENDING, {}, {}, {}, {}, delivery.attempts, delivery.reruns};
      }
      hook = std::exchange(before_settle, nullptr);
    }
    if (hook) hook();
    std::lock_guard lock(mutex);
    std::string why = take_error();
    if (outcome == POSTERN_PENDING) {
      outcome = attempt->completed_with;
      why = attempt->completed_why;
    } else if (attempt->completed) {
      misuses.push_back("complete(), but the handler did not return POSTERN_PENDING");
    }
    settle(*attempt, outcome, std::move(why));
    if (!delivery.rerun_wanted) return delivery.settled;
    if (++delivery.reruns >= kMaxReruns) {
      delivery.rerun_wanted = false;
      delivery.settled = {
          delivery.number,   true,           POSTERN_E_LIMIT, "the versions of its records never fit", {}, {}, {},
          delivery.attempts, delivery.reruns};
      return delivery.settled;
    }
  }
}

FakeHost::FakeHost(const postern_plugin_entry& entry, Options options)
    : state_(std::make_unique<HostState>(entry, std::move(options))) {}

FakeHost::~FakeHost() { stop(std::chrono::milliseconds(0)); }

Started FakeHost::start(std::string_view config_json) {
  HostState& s = *state_;
  auto enter = [&](Phase phase) {
    std::lock_guard lock(s.mutex);
    s.phase = phase;
  };
  auto outcome = [&](postern_status status) {
    std::lock_guard lock(s.mutex);
    if (status == POSTERN_OK && !s.faults.empty()) status = POSTERN_E_INVALID;
    return Started{status, s.take_error(), s.faults, s.refusals};
  };
  if (s.phase != Phase::kNone) return {POSTERN_E_STATE, "a FakeHost starts once", {}, {}};
  if (std::string fault = fault_of(read_sized(&s.entry), s.options); !fault.empty()) {
    return {POSTERN_E_UNSUPPORTED, fault, {}, {}};
  }
  enter(Phase::kCreating);
  const auto* api = reinterpret_cast<const postern_host_api*>(s.api_bytes.get());
  postern_status status = s.entry.create(api, s.handle(), &s.plugin_table, &s.instance);
  if (status != POSTERN_OK || s.plugin_table == nullptr) {
    enter(Phase::kStopped);
    s.instance = nullptr;
    return outcome(status < 0 ? status : POSTERN_E_INTERNAL);
  }
  s.plugin = read_sized(s.plugin_table);
  enter(Phase::kInit);
  std::string config(config_json);
  Started started = outcome(s.plugin.init(s.instance, to_abi(config)));
  enter(Phase::kReady);
  if (started.ok()) started = outcome(s.plugin.activate(s.instance));
  if (started.ok()) return started;
  enter(Phase::kStopped);
  s.plugin.destroy(s.instance);
  s.instance = nullptr;
  return started;
}

void FakeHost::stop(std::chrono::milliseconds drain) {
  HostState& s = *state_;
  if (s.instance == nullptr) return;
  cancel_requests();
  run_callbacks();
  for (const SessionView& session : sessions()) {
    if (!session.ended) end(session.session, {.code = 1001, .by_peer = false, .reason = "the gateway stops"});
  }
  {
    std::lock_guard lock(s.mutex);
    s.memory_timers.clear();
    s.timers_ended = true;
  }
  end_published();
  s.plugin.deactivate(s.instance, static_cast<uint32_t>(drain.count()));
  {
    std::lock_guard lock(s.mutex);
    for (Attempt& attempt : s.attempts) {
      if (attempt.life == Attempt::Life::kPending) attempt.life = Attempt::Life::kGone;
    }
    for (ReplyState& reply : s.replies) s.answer_for_plugin(reply, 503, "the plugin was deactivated");
    s.phase = Phase::kStopped;
  }
  s.plugin.destroy(s.instance);
  s.instance = nullptr;
}

Settled FakeHost::deliver(const Event& event) {
  Event whole = event;
  if (whole.provider.empty()) whole.provider = state_->options.name;
  if (!whole.type.starts_with(whole.provider + ".")) whole.type = whole.provider + "." + whole.type;
  return deliver_as_it_is(std::move(whole));
}

Settled FakeHost::deliver_as_it_is(Event whole, bool without_external_id) {
  HostState& s = *state_;
  DeliveryState* delivery = nullptr;
  {
    std::lock_guard lock(s.mutex);
    if (s.instance == nullptr) return {0, false, POSTERN_E_STATE, "the plugin does not run", {}, {}, {}, 0, 0};
    size_t number = s.deliveries.size() + 1;
    if (whole.id.empty()) whole.id = "evt_" + std::to_string(number);
    if (whole.external_id.empty() && !without_external_id) whole.external_id = whole.id;
    if (whole.received_at == 0) {
      auto now = std::chrono::system_clock::now().time_since_epoch();
      whole.received_at = std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
    }
    std::optional<Handler> handler = find_handler(s, whole);
    if (!handler) return {0, false, POSTERN_OK, "no handler takes " + whole.type, {}, {}, {}, 0, 0};
    delivery = &s.deliveries.emplace_back();
    delivery->number = number;
    delivery->event = std::move(whole);
    delivery->idempotency_key = "dlv_" + std::to_string(number);
    delivery->handler = *handler;
    delivery->attempts = 1;
  }
  return s.run(*delivery);
}

Settled FakeHost::redeliver(size_t number) {
  HostState& s = *state_;
  DeliveryState* delivery = nullptr;
  {
    std::lock_guard lock(s.mutex);
    if (s.instance == nullptr || number == 0 || number > s.deliveries.size()) {
      return {number, false, POSTERN_E_STATE, "there is no such delivery, or the plugin does not run", {}, {}, {},
              0,      0};
    }
    delivery = &s.deliveries[number - 1];
    Attempt::Life life = delivery->current->life;
    if (life == Attempt::Life::kRunning || life == Attempt::Life::kPending) {
      return {number, false, POSTERN_E_STATE, "the delivery has not ended", {}, {}, {}, delivery->attempts, 0};
    }
    bool postponed = life == Attempt::Life::kSettled && delivery->settled.outcome == POSTERN_POSTPONE;
    if (!postponed) ++delivery->attempts;
    delivery->reruns = 0;
  }
  return s.run(*delivery);
}

Settled FakeHost::await(size_t number, std::chrono::milliseconds limit) {
  HostState& s = *state_;
  std::unique_lock lock(s.mutex);
  if (number == 0 || number > s.deliveries.size())
    return {number, false, POSTERN_E_NOT_FOUND, "no such delivery", {}, {}, {}, 0, 0};
  DeliveryState& delivery = s.deliveries[number - 1];
  auto ended = [&] {
    return delivery.current->life == Attempt::Life::kSettled || delivery.current->life == Attempt::Life::kGone;
  };
  if (!s.settled.wait_for(lock, limit, ended)) {
    return {number, true, POSTERN_E_TIMEOUT, "not completed in time", {}, {}, {}, delivery.attempts, delivery.reruns};
  }
  if (delivery.current->life == Attempt::Life::kGone) {
    return {number, true, POSTERN_E_GONE, "given up", {}, {}, {}, delivery.attempts, delivery.reruns};
  }
  if (!delivery.rerun_wanted) return delivery.settled;
  ++delivery.reruns;
  lock.unlock();
  Settled again = s.run(delivery);
  return again.outcome == POSTERN_PENDING ? await(number, limit) : again;
}

void FakeHost::expire(size_t number) {
  HostState& s = *state_;
  std::lock_guard lock(s.mutex);
  if (number == 0 || number > s.deliveries.size()) return;
  Attempt& attempt = *s.deliveries[number - 1].current;
  if (attempt.life == Attempt::Life::kPending) attempt.life = Attempt::Life::kGone;
  s.settled.notify_all();
}

void FakeHost::before_settle(std::function<void()> hook) {
  std::lock_guard lock(state_->mutex);
  state_->before_settle = std::move(hook);
}

std::optional<StoredRecord> FakeHost::record(std::string_view collection, std::string_view key) const {
  std::lock_guard lock(state_->mutex);
  auto found = state_->records.find({std::string(collection), std::string(key)});
  return found == state_->records.end() ? std::nullopt : std::optional(found->second);
}

std::map<RecordKey, StoredRecord> FakeHost::records() const {
  std::lock_guard lock(state_->mutex);
  return state_->records;
}

void FakeHost::set_record(std::string_view collection, std::string_view key, std::string_view json) {
  std::lock_guard lock(state_->mutex);
  StoredRecord& stored = state_->records[{std::string(collection), std::string(key)}];
  stored = {std::string(json), stored.version + 1};
}

std::vector<Emitted> FakeHost::emitted() const {
  std::lock_guard lock(state_->mutex);
  return state_->emitted;
}

std::vector<HealthResult> FakeHost::health() {
  std::vector<HealthResult> results;
  if (state_->instance == nullptr) return results;
  for (const HealthCheck& check : state_->checks) {
    HealthResult result{check.name, check.interval_ms, POSTERN_UNHEALTHY, "", ""};
    auto* report = reinterpret_cast<postern_health_report*>(&result);
    if (check.call(state_->instance, check.user, report) < 0) {
      std::lock_guard lock(state_->mutex);
      result = {check.name, check.interval_ms, POSTERN_UNHEALTHY, state_->take_error(), ""};
    }
    results.push_back(std::move(result));
  }
  return results;
}

std::vector<LogLine> FakeHost::log() const {
  std::lock_guard lock(state_->mutex);
  return state_->log;
}

std::vector<std::string> FakeHost::misuses() const {
  std::lock_guard lock(state_->mutex);
  return state_->misuses;
}

const std::vector<SchemeDeclaration>& FakeHost::schemes() const { return state_->schemes; }
const std::vector<RouteDeclaration>& FakeHost::routes() const { return state_->routes; }
const std::vector<SampleDeclaration>& FakeHost::samples() const { return state_->samples; }

PolicyDeclaration FakeHost::policy() const { return state_->policy; }

const std::vector<std::string>& FakeHost::critical_types() const { return state_->critical; }

std::vector<std::string> FakeHost::handled_types() const {
  std::vector<std::string> globs;
  for (const Handler& handler : state_->handlers) globs.push_back(handler.glob);
  return globs;
}

}  // namespace postern::testing
