// postern/delivery.hpp - one event in a handler's hands: views, effects, and the ways it can end. Part of
// plugin.hpp.
//
// Errors: a call that the host refuses throws Error (Gone when it came too late). A handler may let it pass: plugin.hpp
// turns it into an outcome. Threads: a Delivery belongs to the handler that got it and lives as long as the call. A
// Pending may move to any thread; one thread at a time uses it.
#pragma once

#include <chrono>
#include <cstdint>
#include <exception>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "timers.hpp"

namespace postern::inline sdk {

// Thrown by a handler: it failed for now. `after` zero: by the retry policy.
class Retry : public std::runtime_error {
 public:
  explicit Retry(const std::string& why, milliseconds after = {}) : std::runtime_error(why), after_(after) {}
  milliseconds after() const { return after_; }

 private:
  milliseconds after_;
};

// Thrown by a handler: what it needs is known to be down, so it was not tried. No attempt is counted. `after` zero: the policy's first
// wait.
class Postpone : public Retry {
 public:
  using Retry::Retry;
};

// Thrown by a handler: it can never succeed.
class Dead : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// How a delivery ends.
class [[nodiscard]] Outcome {
 public:
  static Outcome done() { return {POSTERN_OK, {}, {}}; }
  // The Pending that detach() gave away decides.
  static Outcome pending() { return {POSTERN_PENDING, {}, {}}; }
  static Outcome retry(std::string why, milliseconds after = {}) { return {POSTERN_RETRY, std::move(why), after}; }
  // As a retry, but no attempt is counted: for what cannot be tried now. See POSTERN_POSTPONE in ext/events.h for its bounds.
  static Outcome postpone(std::string why, milliseconds after = {}) { return {POSTERN_POSTPONE, std::move(why), after}; }
  static Outcome dead(std::string why) { return {POSTERN_DEAD, std::move(why), {}}; }

  postern_status status() const { return status_; }
  const std::string& why() const { return why_; }
  milliseconds after() const { return after_; }
  bool comes_again() const { return status_ == POSTERN_RETRY || status_ == POSTERN_POSTPONE; }

 private:
  Outcome(postern_status status, std::string why, milliseconds after)
      : status_(status), why_(std::move(why)), after_(after) {}

  postern_status status_;
  std::string why_;
  milliseconds after_;
};

// What get() found. `version` is right for put() whether the record is there or not.
struct Record {
  std::string json;
  uint64_t version = POSTERN_RECORD_ABSENT;
  bool exists = false;
  explicit operator bool() const { return exists; }
};

// One of a list().
struct NamedRecord {
  std::string key;
  std::string json;
  uint64_t version = POSTERN_RECORD_ABSENT;
};

class Upstream;
class Service;

// What a Delivery and a Pending have in common. Views live as long as it does.
class DeliveryContext {
 public:
  std::string_view id() const { return to_view(events().id(handle())); }
  // "openphone.message.received", and without the provider's name: "message.received".
  std::string_view type() const { return to_view(events().type(handle())); }
  std::string_view short_type() const;
  std::string_view provider() const { return to_view(events().provider(handle())); }
  std::string_view external_id() const { return to_view(events().external_id(handle())); }
  std::string_view order_key() const { return to_view(events().order_key(handle())); }
  std::chrono::sys_time<milliseconds> received_at() const {
    return std::chrono::sys_time<milliseconds>(milliseconds(events().received_at(handle())));
  }
  uint32_t attempt() const { return events().attempt(handle()); }
  // Give it to every call to the outside: those can repeat after a crash.
  std::string_view idempotency_key() const { return to_view(events().idempotency_key(handle())); }
  // A subscription's `with:` as JSON; empty for the plugin's own handlers.
  std::string_view with() const { return to_view(events().with(handle())); }

  // The request that brought the event; it has no urls and no path parameters any more.
  Request request() const { return Request(tables_, events().request(handle())); }
  std::string_view method() const { return request().method(); }
  std::string_view target() const { return request().target(); }
  std::string_view body() const { return request().body(); }
  std::string_view remote() const { return request().remote(); }
  std::optional<std::string_view> header(std::string_view name, size_t nth = 0) const { return request().header(name, nth); }

  // Effects: committed together with the outcome `done`, or not at all.
  Record get(std::string_view collection, std::string_view key);
  void put(std::string_view collection, std::string_view key, std::string_view json, uint64_t expected_version);
  // Nothing happens to a record that is not there, when 0 (as get() says) or POSTERN_RECORD_ANY was expected.
  void remove(std::string_view collection, std::string_view key, uint64_t expected_version);
  // Records whose key begins with `prefix`, in the order of their keys, after the key `after`; an empty page is the end.
  std::vector<NamedRecord> list(std::string_view collection, std::string_view prefix = {}, std::string_view after = {},
                                uint32_t limit = 0);
  void emit(std::string_view type, std::string_view body_json) {
    detail::check(events().emit(handle(), to_abi(type), to_abi(body_json)), "emit");
  }
  // A durable timer; it replaces the plugin's one of that name.
  void set_timer(const Timer& timer);
  // Nothing happens when there is none: it may be an event by now.
  void remove_timer(std::string_view name) {
    detail::check(detail::need(tables_.timers, POSTERN_EXT_TIMERS).remove(handle(), to_abi(name)), "remove of a timer");
  }
  void set_result(std::string_view json) { detail::check(events().set_result(handle(), to_abi(json)), "set_result"); }

 protected:
  friend class Upstream;  // makes requests on behalf of it
  friend class Service;   // likewise calls
  DeliveryContext(const detail::HostTables& tables, postern_delivery* handle) : tables_(tables), handle_(handle) {}
  ~DeliveryContext() = default;

  postern_delivery* handle() const {
    if (handle_ == nullptr) throw Error(POSTERN_E_STATE, "the delivery was completed already");
    return handle_;
  }
  const postern_ext_events& events() const { return detail::need(tables_.events, POSTERN_EXT_EVENTS); }

  detail::HostTables tables_;
  postern_delivery* handle_;
};

inline std::string_view DeliveryContext::short_type() const {
  std::string_view whole = type();
  std::string_view name = provider();
  bool prefixed = whole.size() > name.size() && whole.starts_with(name) && whole[name.size()] == '.';
  return prefixed ? whole.substr(name.size() + 1) : whole;
}

inline Record DeliveryContext::get(std::string_view collection, std::string_view key) {
  const auto& records = detail::need(tables_.records, POSTERN_EXT_RECORDS);
  postern_str json{};
  uint64_t version = POSTERN_RECORD_ABSENT;
  postern_status status = records.get(handle(), to_abi(collection), to_abi(key), &json, &version);
  if (status == POSTERN_E_NOT_FOUND) return {};
  detail::check(status, "get of a record of " + std::string(collection));
  return {std::string(to_view(json)), version, true};
}

inline void DeliveryContext::put(std::string_view collection, std::string_view key, std::string_view json,
                                 uint64_t expected_version) {
  const auto& records = detail::need(tables_.records, POSTERN_EXT_RECORDS);
  detail::check(records.put(handle(), to_abi(collection), to_abi(key), to_abi(json), expected_version),
                "put of a record of " + std::string(collection));
}

inline void DeliveryContext::remove(std::string_view collection, std::string_view key, uint64_t expected_version) {
  const auto& records = detail::need(tables_.records, POSTERN_EXT_RECORDS);
  detail::check(records.remove(handle(), to_abi(collection), to_abi(key), expected_version),
                "remove of a record of " + std::string(collection));
}

inline std::vector<NamedRecord> DeliveryContext::list(std::string_view collection, std::string_view prefix, std::string_view after,
                                                      uint32_t limit) {
  struct Page {
    std::vector<NamedRecord> records;
    std::exception_ptr failure;
  } page;
  auto visit = [](void* user, postern_str key, postern_str json, uint64_t version) -> int32_t {
    auto& into = *static_cast<Page*>(user);
    try {
      into.records.push_back({std::string(to_view(key)), std::string(to_view(json)), version});
      return 0;
    } catch (...) {  // none may cross
      into.failure = std::current_exception();
      return 1;
    }
  };
  const auto& records = detail::need(tables_.records, POSTERN_EXT_RECORDS);
  postern_status status = records.list(handle(), to_abi(collection), to_abi(prefix), to_abi(after), limit, visit, &page);
  if (page.failure) std::rethrow_exception(page.failure);
  detail::check(status, "list of records of " + std::string(collection));
  return std::move(page.records);
}

inline void DeliveryContext::set_timer(const Timer& timer) {
  postern_timer_desc desc{};
  desc.struct_size = sizeof desc;
  if (timer.unordered) desc.flags |= POSTERN_TIMER_UNORDERED;
  desc.name = to_abi(timer.name);
  desc.type = to_abi(timer.type);
  desc.body = to_abi(timer.body);
  desc.order_key = to_abi(timer.order_key);
  desc.delay_ms = timer.delay.count();
  constexpr size_t kShown = 100;
  detail::check(detail::need(tables_.timers, POSTERN_EXT_TIMERS).set(tables_.host, handle(), &desc),
                "set of the timer '" + std::string(timer.name.substr(0, kShown)) + "' of type '" +
                    std::string(timer.type.substr(0, kShown)) + "' in " + std::to_string(timer.delay.count()) + " ms");
}

// A delivery whose end comes later, from any thread. Dropped without an end it is retried, so that nothing is lost.
class Pending : public DeliveryContext {
 public:
  Pending(const detail::HostTables& tables, postern_delivery* handle) : DeliveryContext(tables, handle) {}
  Pending(Pending&& other) noexcept : DeliveryContext(other.tables_, std::exchange(other.handle_, nullptr)) {}
  Pending& operator=(Pending&& other) noexcept {
    if (this == &other) return *this;
    drop();
    tables_ = other.tables_;
    handle_ = std::exchange(other.handle_, nullptr);
    return *this;
  }
  ~Pending() { drop(); }

  // Ends the delivery; the last call on it. False when it came too late: then nothing of it counts.
  bool complete(const Outcome& outcome) {
    postern_delivery* handle = std::exchange(handle_, nullptr);
    if (handle == nullptr) return false;
    if (outcome.comes_again() && outcome.after().count() > 0) {
      events().retry_after(handle, static_cast<uint64_t>(outcome.after().count()));
    }
    bool ended = outcome.status() != POSTERN_PENDING;
    return events().complete(handle, ended ? outcome.status() : POSTERN_RETRY,
                             to_abi(ended ? std::string_view(outcome.why()) : "completed with pending")) == POSTERN_OK;
  }

  // Whether it is still to be completed by this object.
  explicit operator bool() const { return handle_ != nullptr; }

 private:
  void drop() noexcept {
    postern_delivery* handle = std::exchange(handle_, nullptr);
    if (handle != nullptr) tables_.events->complete(handle, POSTERN_RETRY, to_abi("dropped without an outcome"));
  }
};

// An event on its way through a handler.
class Delivery : public DeliveryContext {
 public:
  Delivery(const detail::HostTables& tables, postern_delivery* handle) : DeliveryContext(tables, handle) {}
  Delivery(const Delivery&) = delete;
  Delivery& operator=(const Delivery&) = delete;

  // From here on the Pending is the delivery, and whatever the handler returns means pending. It may be completed on
  // another thread before the handler has returned, so the handler must not touch the Delivery any more.
  [[nodiscard]] Pending detach() {
    if (detached_) throw Error(POSTERN_E_STATE, "detach: the delivery is detached already");
    events();
    detached_ = true;
    return Pending(tables_, handle_);
  }
  bool detached() const { return detached_; }

 private:
  bool detached_ = false;
};

}  // namespace postern::inline sdk
