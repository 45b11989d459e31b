// Events on their way: views, effects, completion. The tables of postern.events and postern.records.
#include <algorithm>
#include <cstring>
#include <map>

#include "host_state.h"
#include "json_check.h"

namespace postern::testing {
namespace {

Attempt& of(postern_delivery* handle) { return *reinterpret_cast<Attempt*>(handle); }

// The event behind a handle, for a view; noted when the plugin has completed it before.
const DeliveryState& view(const postern_delivery* handle, const char* what) {
  const Attempt& attempt = *reinterpret_cast<const Attempt*>(handle);
  std::lock_guard lock(attempt.host->mutex);
  if (attempt.completed) attempt.host->misuses.push_back(std::string(what) + " on a delivery that was completed");
  return *attempt.delivery;
}

postern_str id(const postern_delivery* d) { return to_abi(view(d, "id").event.id); }
postern_str type(const postern_delivery* d) { return to_abi(view(d, "type").event.type); }
postern_str provider(const postern_delivery* d) { return to_abi(view(d, "provider").event.provider); }
postern_str external_id(const postern_delivery* d) { return to_abi(view(d, "external_id").event.external_id); }
postern_str order_key(const postern_delivery* d) { return to_abi(view(d, "order_key").event.order_key); }
int64_t received_at(const postern_delivery* d) { return view(d, "received_at").event.received_at; }
uint32_t attempt_number(const postern_delivery* d) { return view(d, "attempt").attempts; }
postern_str idempotency_key(const postern_delivery* d) { return to_abi(view(d, "idempotency_key").idempotency_key); }
postern_str with(const postern_delivery* d) { return to_abi(view(d, "with").event.with); }
const postern_request* request(const postern_delivery* d) {
  view(d, "request");
  return reinterpret_cast<const postern_request*>(reinterpret_cast<const Attempt*>(d)->request);
}

// Whether the delivery still lives. Ends what get() has lent, as the contract says.
postern_status check_live(Attempt& attempt, const char* what) {
  if (attempt.completed || attempt.life == Attempt::Life::kSettled) {
    attempt.host->misuses.push_back(std::string(what) + " on a delivery that was completed");
    return POSTERN_E_GONE;
  }
  if (attempt.life == Attempt::Life::kGone) return POSTERN_E_GONE;
  attempt.borrowed.reset();
  return POSTERN_OK;
}

// Runs `effect` when it does.
template <typename F>
postern_status with_live(postern_delivery* handle, const char* what, F effect) {
  Attempt& attempt = of(handle);
  std::lock_guard lock(attempt.host->mutex);
  if (postern_status status = check_live(attempt, what); status != POSTERN_OK) return status;
  return effect(attempt);
}

postern_status charge(Attempt& attempt, size_t bytes) {
  const Options& options = attempt.host->options;
  if (attempt.effects >= options.max_effects) return POSTERN_E_LIMIT;
  if (attempt.effect_bytes + bytes > options.max_effect_bytes) return POSTERN_E_LIMIT;
  ++attempt.effects;
  attempt.effect_bytes += bytes;
  return POSTERN_OK;
}

postern_status emit(postern_delivery* d, postern_str event_type, postern_str json) {
  return with_live(d, "emit", [&](Attempt& attempt) -> postern_status {
    std::string text = to_string(json);
    if (event_type.len == 0 || !is_json(text)) return POSTERN_E_INVALID;
    if (auto status = charge(attempt, event_type.len + json.len); status < 0) return status;
    attempt.emitted.push_back({to_string(event_type), std::move(text), attempt.delivery->event.order_key});
    return POSTERN_OK;
  });
}

postern_status set_result(postern_delivery* d, postern_str json) {
  return with_live(d, "set_result", [&](Attempt& attempt) -> postern_status {
    std::string text = to_string(json);
    if (!is_json(text)) return POSTERN_E_INVALID;
    if (auto status = charge(attempt, json.len); status < 0) return status;
    attempt.result = std::move(text);
    return POSTERN_OK;
  });
}

postern_status retry_after(postern_delivery* d, uint64_t ms) {
  return with_live(d, "retry_after", [&](Attempt& attempt) -> postern_status {
    attempt.retry_after_ms = ms;
    return POSTERN_OK;
  });
}

postern_status get(postern_delivery* d, postern_str collection, postern_str key, postern_str* json, uint64_t* version) {
  return with_live(d, "get", [&](Attempt& attempt) -> postern_status {
    if (collection.len == 0 || key.len == 0) return POSTERN_E_INVALID;
    RecordKey name{to_string(collection), to_string(key)};
    std::string found;
    auto own = std::find_if(attempt.writes.rbegin(), attempt.writes.rend(), [&](const auto& w) { return w.name == name; });
    if (own != attempt.writes.rend() && own->json.empty()) {
      *version = POSTERN_RECORD_ABSENT;
      return POSTERN_E_NOT_FOUND;
    }
    if (own != attempt.writes.rend()) {
      found = own->json;
      *version = own->expected == POSTERN_RECORD_ANY ? POSTERN_RECORD_ANY : own->expected + 1;
    } else if (auto stored = attempt.host->records.find(name); stored != attempt.host->records.end()) {
      found = stored->second.json;
      *version = stored->second.version;
    } else {
      *version = POSTERN_RECORD_ABSENT;
      return POSTERN_E_NOT_FOUND;
    }
    attempt.borrowed = std::make_unique<std::string>(std::move(found));
    *json = to_abi(*attempt.borrowed);
    return POSTERN_OK;
  });
}

postern_status put(postern_delivery* d, postern_str collection, postern_str key, postern_str json, uint64_t expected) {
  return with_live(d, "put", [&](Attempt& attempt) -> postern_status {
    std::string text = to_string(json);
    if (collection.len == 0 || key.len == 0 || !is_json(text)) return POSTERN_E_INVALID;
    if (auto status = charge(attempt, collection.len + key.len + json.len); status < 0) return status;
    attempt.writes.push_back({{to_string(collection), to_string(key)}, std::move(text), expected});
    return POSTERN_OK;
  });
}

postern_status remove(postern_delivery* d, postern_str collection, postern_str key, uint64_t expected) {
  return with_live(d, "remove", [&](Attempt& attempt) -> postern_status {
    if (collection.len == 0 || key.len == 0) return POSTERN_E_INVALID;
    if (auto status = charge(attempt, collection.len + key.len); status < 0) return status;
    attempt.writes.push_back({{to_string(collection), to_string(key)}, "", expected});
    return POSTERN_OK;
  });
}

postern_status list(postern_delivery* d, postern_str collection, postern_str prefix, postern_str after, uint32_t limit,
                    postern_record_visitor visit, void* user) {
  std::map<std::string, StoredRecord> page;
  postern_status status = with_live(d, "list", [&](Attempt& attempt) -> postern_status {
    if (collection.len == 0 || visit == nullptr) return POSTERN_E_INVALID;
    std::string in = to_string(collection), begin = to_string(prefix), behind = to_string(after);
    auto fits = [&](const RecordKey& name) { return name.first == in && name.second > behind && name.second.starts_with(begin); };
    for (const auto& [name, stored] : attempt.host->records) {
      if (fits(name)) page[name.second] = stored;
    }
    for (const Attempt::Write& write : attempt.writes) {
      if (!fits(write.name)) continue;
      uint64_t version = write.expected == POSTERN_RECORD_ANY ? POSTERN_RECORD_ANY : write.expected + 1;
      write.json.empty() ? void(page.erase(write.name.second)) : void(page[write.name.second] = {write.json, version});
    }
    return POSTERN_OK;
  });
  size_t left = limit == 0 ? 100 : std::min(limit, 1000u);
  for (const auto& [key, record] : page) {
    if (left-- == 0 || visit(user, to_abi(key), to_abi(record.json), record.version) != 0) break;
  }
  return status;
}

postern_status complete(postern_delivery* d, postern_status outcome, postern_str why) {
  Attempt& attempt = of(d);
  HostState& host = *attempt.host;
  std::function<void()> hook;
  {
    std::lock_guard lock(host.mutex);
    if (attempt.completed || attempt.life == Attempt::Life::kSettled) {
      host.misuses.push_back("complete() on a delivery that was completed");
      return POSTERN_E_GONE;
    }
    attempt.completed = true;
    attempt.request->ended = "on a delivery that was completed";
    attempt.borrowed.reset();
    if (attempt.life == Attempt::Life::kGone) return POSTERN_E_GONE;
    if (outcome == POSTERN_PENDING) {
      host.misuses.push_back("complete() with POSTERN_PENDING");
      outcome = POSTERN_RETRY;
    }
    attempt.completed_with = outcome;
    attempt.completed_why = to_string(why);
    if (attempt.life == Attempt::Life::kRunning) return POSTERN_OK;  // the handler has yet to return
    hook = std::exchange(host.before_settle, nullptr);
  }
  if (hook) hook();
  std::lock_guard lock(host.mutex);
  if (attempt.life == Attempt::Life::kGone) return POSTERN_E_GONE;
  host.settle(attempt, attempt.completed_with, attempt.completed_why);
  return POSTERN_OK;
}

postern_status add_handler(postern_host* handle, postern_str glob, postern_event_handler handler, void* user) {
  HostState& host = HostState::of(handle);
  std::lock_guard lock(host.mutex);
  if (host.phase != Phase::kInit) return POSTERN_E_STATE;
  if (glob.len == 0 || handler == nullptr) return host.refuse("handler without a type or a function");
  host.handlers.push_back({to_string(glob), handler, user});
  return POSTERN_OK;
}

postern_status add_subscription_handler(postern_host* handle, postern_event_handler handler, void* user) {
  HostState& host = HostState::of(handle);
  std::lock_guard lock(host.mutex);
  if (host.phase != Phase::kInit) return POSTERN_E_STATE;
  if (handler == nullptr || host.subscription_handler) return host.refuse("a second handler of subscriptions, or none");
  host.subscription_handler = Handler{"", handler, user};
  return POSTERN_OK;
}

postern_status subscribe(postern_host* handle, postern_str name, postern_str glob, postern_event_handler handler, void* user) {
  HostState& host = HostState::of(handle);
  std::lock_guard lock(host.mutex);
  if (host.phase != Phase::kInit) return POSTERN_E_STATE;
  std::string whole = to_string(name);
  bool fits = !whole.empty() && whole.size() <= 256 && whole != "handlers" &&
              std::all_of(whole.begin(), whole.end(), [](char c) { return c > 0x20 && c < 0x7F; });
  if (!fits || glob.len == 0 || handler == nullptr) return host.refuse("a subscription without a fit name, a type or a function");
  for (const auto& other : host.own_subscriptions) {
    if (other.first == whole) return host.refuse("a second subscription of one name");
  }
  host.own_subscriptions.emplace_back(std::move(whole), Handler{to_string(glob), handler, user});
  return POSTERN_OK;
}

postern_status subscription(postern_host* handle, size_t number, postern_subscription* out) {
  HostState& host = HostState::of(handle);
  std::lock_guard lock(host.mutex);
  if (host.phase != Phase::kInit) return POSTERN_E_STATE;
  if (number >= host.options.subscriptions.size()) return POSTERN_E_NOT_FOUND;
  const SubscriptionOption& one = host.options.subscriptions[number];
  auto lend = [](const std::string& text) { return postern_str{text.data(), text.size()}; };
  const postern_subscription theirs = {sizeof theirs, 0, lend(one.name), lend(one.on), lend(one.with)};
  std::memcpy(out, &theirs, std::min<size_t>(out->struct_size, sizeof theirs));
  return POSTERN_OK;
}

postern_status subscription_fault(postern_host* handle, size_t number, postern_str pointer, postern_str text) {
  HostState& host = HostState::of(handle);
  std::lock_guard lock(host.mutex);
  if (host.phase != Phase::kInit) return POSTERN_E_STATE;
  if (number >= host.options.subscriptions.size()) return POSTERN_E_NOT_FOUND;
  host.faults.push_back({to_string(pointer), to_string(text), number});
  return POSTERN_OK;
}

postern_status default_policy(postern_host* handle, const postern_policy_desc* desc) {
  HostState& host = HostState::of(handle);
  const postern_policy_desc wish = read_sized(desc);
  std::lock_guard lock(host.mutex);
  if (host.phase != Phase::kInit) return POSTERN_E_STATE;
  bool fits = wish.deadline_ms <= 3'600'000 && wish.attempts <= 100 && (wish.retry_cap_ms == 0 || wish.retry_cap_ms >= wish.retry_base_ms);
  if (!fits) return host.refuse("a policy beyond the host's bounds");
  host.policy = {wish.deadline_ms, wish.attempts, wish.retry_base_ms, wish.retry_cap_ms};
  return POSTERN_OK;
}

postern_status add_critical(postern_host* handle, postern_str type_glob) {
  HostState& host = HostState::of(handle);
  std::lock_guard lock(host.mutex);
  if (host.phase != Phase::kInit) return POSTERN_E_STATE;
  if (type_glob.len == 0) return host.refuse("a critical type without a name");
  host.critical.push_back(to_string(type_glob));
  return POSTERN_OK;
}

}  // namespace

postern_status begin_effect(Attempt& attempt, const char* what, size_t bytes) {
  if (postern_status status = check_live(attempt, what); status != POSTERN_OK) return status;
  return charge(attempt, bytes);
}

// With the mutex held. Versions are compared here and nowhere earlier, as in a store's transaction.
void HostState::settle(Attempt& attempt, postern_status outcome, std::string why) {
  DeliveryState& delivery = *attempt.delivery;
  attempt.life = Attempt::Life::kSettled;
  attempt.borrowed.reset();
  settled.notify_all();
  if (outcome == POSTERN_OK) {
    struct Written {
      StoredRecord record;
      uint64_t seen;  // the version as the plugin counts
    };
    std::map<RecordKey, Written> written;
    for (const Attempt::Write& write : attempt.writes) {
      auto stored = records.find(write.name);
      StoredRecord before = stored == records.end() ? StoredRecord() : stored->second;
      Written& now = written.try_emplace(write.name, Written{before, before.version}).first->second;
      if (write.expected != POSTERN_RECORD_ANY && write.expected != now.seen) {
        delivery.rerun_wanted = true;
        return;
      }
      if (write.json.empty()) {
        removed_version = std::max(removed_version, now.record.version);
        now = {{}, 0};
      } else {
        now = {{write.json, (now.record.version == 0 ? removed_version : now.record.version) + 1}, now.seen + 1};
      }
    }
    for (auto& [name, now] : written) {
      now.seen == 0 ? void(records.erase(name)) : void(records[name] = std::move(now.record));
    }
    emitted.insert(emitted.end(), attempt.emitted.begin(), attempt.emitted.end());
    for (const TimerEffect& effect : attempt.timers) {
      effect.removed ? void(timers.erase(effect.timer.name)) : void(timers[effect.timer.name] = effect.timer);
    }
  }
  bool done = outcome == POSTERN_OK;
  bool retried = outcome == POSTERN_RETRY || outcome == POSTERN_POSTPONE || outcome < 0;
  delivery.settled = {delivery.number,
                      true,
                      outcome,
                      std::move(why),
                      retried ? attempt.retry_after_ms : std::nullopt,
                      done ? attempt.result : std::string(),
                      done ? attempt.emitted : std::vector<Emitted>(),
                      delivery.attempts,
                      delivery.reruns};
}

const postern_ext_events kEvents = {
    &add_handler,    &add_subscription_handler, &id,   &type,    &provider, &external_id, &order_key, &received_at,
    &attempt_number, &idempotency_key,          &with, &request, &emit,     &set_result,  &complete,  &retry_after,
    &add_critical,   &publish_event,            &subscribe, &subscription, &subscription_fault, &default_policy};
const postern_ext_records kRecords = {&get, &put, &remove, &list};

}  // namespace postern::testing
