// postern.events/1
#include <postern/ext/events.h>

#include <algorithm>
#include <cstring>

#include "core/extension/convert.h"
#include "core/extension/handles.h"
#include "core/extension/table.h"
#include "core/ingest/identify.h"
#include "core/ingest/json_body.h"
#include "core/plugin/call.h"

namespace postern::extension {
namespace {

using dispatch::HandlerOutcome;

postern_status on(postern_host* host, postern_str type_glob, postern_event_handler handler, void* user) {
  return contained([&]() -> postern_status {
    if (!in_init(host)) return fail(POSTERN_E_STATE, "handlers are registered in init");
    if (handler == nullptr || type_glob.len == 0) return fail(POSTERN_E_INVALID, "a handler needs a type and a function");
    for (const plugin::Handler& other : host->registrations.handlers) {
      if (other.glob == view(type_glob)) return fail(POSTERN_E_INVALID, "a handler for '" + other.glob + "' was registered before");
    }
    host->registrations.handlers.push_back({copy(type_glob), handler, user});
    return POSTERN_OK;
  });
}

postern_status on_subscription(postern_host* host, postern_event_handler handler, void* user) {
  if (!in_init(host)) return fail(POSTERN_E_STATE, "handlers are registered in init");
  if (handler == nullptr) return fail(POSTERN_E_INVALID, "a handler needs a function");
  host->registrations.subscription = {"", handler, user};
  return POSTERN_OK;
}

bool is_subscriber_name(std::string_view name) {
  constexpr size_t kMost = 256;  // as for those of the YAML
  return !name.empty() && name.size() <= kMost && name != ingest::kOwnHandlers &&
         std::all_of(name.begin(), name.end(), [](char c) { return c > 0x20 && c < 0x7F; });
}

postern_status subscribe(postern_host* host, postern_str name, postern_str type_glob, postern_event_handler handler, void* user) {
  return contained([&]() -> postern_status {
    if (!in_init(host)) return fail(POSTERN_E_STATE, "handlers are registered in init");
    if (handler == nullptr || type_glob.len == 0) return fail(POSTERN_E_INVALID, "a subscription needs a type and a function");
    if (!is_subscriber_name(view(name))) {
      return fail(POSTERN_E_INVALID, "a subscription's name is 1 to 256 visible ASCII characters, and not 'handlers'");
    }
    auto& all = host->registrations.own_subscriptions;
    bool taken = std::any_of(all.begin(), all.end(), [&](const plugin::OwnSubscription& other) { return other.name == view(name); });
    if (taken) return fail(POSTERN_E_INVALID, "a subscription '" + copy(name) + "' was made before");
    all.push_back({copy(name), {copy(type_glob), handler, user}});
    return POSTERN_OK;
  });
}

postern_status subscription(postern_host* host, size_t number, postern_subscription* out) {
  return contained([&]() -> postern_status {
    if (!in_init(host)) return fail(POSTERN_E_STATE, "subscriptions are looked at in init");
    const auto& all = host->surroundings.subscriptions;
    if (number >= all.size()) return fail(POSTERN_E_NOT_FOUND, "there are " + std::to_string(all.size()) + " subscriptions");
    postern_subscription theirs{};
    theirs.struct_size = sizeof theirs;
    theirs.name = borrow(all[number]->name);
    theirs.on = borrow(all[number]->on);
    theirs.with = borrow(all[number]->with_json);
    std::memcpy(out, &theirs, std::min<size_t>(out->struct_size, sizeof theirs));
    return POSTERN_OK;
  });
}

postern_status subscription_fault(postern_host* host, size_t number, postern_str pointer, postern_str text) {
  return contained([&]() -> postern_status {
    if (!in_init(host)) return fail(POSTERN_E_STATE, "faults are told of in init");
    if (number >= host->surroundings.subscriptions.size()) return fail(POSTERN_E_NOT_FOUND, "there is no such subscription");
    return tell_fault(host, {copy(pointer), copy(text), number});
  });
}

postern_status default_policy(postern_host* host, const postern_policy_desc* desc) {
  constexpr uint32_t kLongestMs = 3'600'000, kMostAttempts = 100;
  return contained([&]() -> postern_status {
    if (!in_init(host)) return fail(POSTERN_E_STATE, "a policy is told in init");
    const postern_policy_desc theirs = sized(desc);
    if (theirs.deadline_ms > kLongestMs) return fail(POSTERN_E_INVALID, "a handler has at most an hour");
    if (theirs.attempts > kMostAttempts) return fail(POSTERN_E_INVALID, "a delivery has at most 100 attempts");
    if (theirs.retry_cap_ms != 0 && theirs.retry_cap_ms < theirs.retry_base_ms) {
      return fail(POSTERN_E_INVALID, "the longest wait is not less than the first");
    }
    host->registrations.policy = {theirs.deadline_ms, theirs.attempts, theirs.retry_base_ms, theirs.retry_cap_ms};
    return POSTERN_OK;
  });
}

postern_status critical(postern_host* host, postern_str type_glob) {
  return contained([&]() -> postern_status {
    if (!in_init(host)) return fail(POSTERN_E_STATE, "types are marked in init");
    if (type_glob.len == 0) return fail(POSTERN_E_INVALID, "a critical type needs a name");
    host->registrations.critical.push_back(copy(type_glob));
    return POSTERN_OK;
  });
}

postern_status emit(postern_delivery* handle, postern_str type, postern_str body) {
  return contained([&]() -> postern_status {
    if (type.len == 0) return fail(POSTERN_E_INVALID, "an event needs a type");
    if (!ingest::is_json(view(body))) return fail(POSTERN_E_INVALID, "the body of an emitted event must be JSON");
    return to_abi(delivery_of(handle).emit(view(type), view(body)));
  });
}

postern_status set_result(postern_delivery* handle, postern_str json) {
  return contained([&]() -> postern_status {
    if (!ingest::is_json(view(json))) return fail(POSTERN_E_INVALID, "a result must be JSON");
    return to_abi(delivery_of(handle).set_result(view(json)));
  });
}

postern_status complete(postern_delivery* handle, postern_status outcome, postern_str why) {
  return contained([&]() -> postern_status {
    HandlerOutcome ours = HandlerOutcome::kRetry;  // negative: a failure that may pass
    if (outcome == POSTERN_OK) ours = HandlerOutcome::kDone;
    if (outcome == POSTERN_DEAD) ours = HandlerOutcome::kDead;
    if (outcome == POSTERN_POSTPONE) ours = HandlerOutcome::kPostpone;
    if (outcome == POSTERN_PENDING) ours = HandlerOutcome::kPending;
    return to_abi(delivery_of(handle).complete({ours, copy(why)}));
  });
}

postern_status retry_after(postern_delivery* handle, uint64_t ms) {
  constexpr uint64_t kLongest = 366ull * 24 * 3600 * 1000;
  delivery_of(handle).retry_after(static_cast<int64_t>(std::min(ms, kLongest)));
  return POSTERN_OK;
}

// On a thread of the plugin's published events.
void tell(postern_host* host, postern_publish_callback on_published, void* user, const plugin::Publisher::Outcome& outcome) {
  postern_published theirs{};
  theirs.struct_size = sizeof theirs;
  theirs.status = outcome.status ? POSTERN_OK : POSTERN_RETRY;
  theirs.duplicate = outcome.duplicate ? 1 : 0;
  theirs.settled = outcome.settled ? 1 : 0;
  theirs.event_id = borrow(outcome.event_id);
  theirs.result = borrow(outcome.result);
  theirs.error = borrow(outcome.error);
  log::PluginScope scope(host->name);
  postern_status status = plugin::guarded({host->crash_number, plugin::EntryPoint::kPublished}, [&] {
    on_published(host->self, user, &theirs);
    return POSTERN_OK;
  });
  if (status < 0) log::warn("the callback of a published event has failed", {{"error", plugin::explain(status)}});
}

postern_status publish(postern_host* host, const postern_publish_desc* desc, postern_publish_callback on_published, void* user) {
  return contained([&]() -> postern_status {
    postern_publish_desc theirs = sized(desc);
    if (theirs.wait_ms > plugin::Publisher::kMaxWaitMs) return fail(POSTERN_E_INVALID, "a handler is waited for at most an hour");
    // Before it is copied.
    if (theirs.body.len > ingest::kMaxPublishedBytes) return fail(POSTERN_E_LIMIT, "an event that is published has at most 4 MiB");
    auto event = ingest::identify(host->name, {copy(theirs.type), copy(theirs.body), copy(theirs.order_key), copy(theirs.external_id)});
    if (!event) return to_abi(event.status());
    plugin::Publisher::OnPublished told;
    if (on_published != nullptr) {
      told = [host, on_published, user](const plugin::Publisher::Outcome& outcome) { tell(host, on_published, user, outcome); };
    }
    Status taken = host->publisher.publish(std::move(*event), theirs.wait_ms, std::move(told), host->generation.lock());
    return taken.code() == Code::kUnavailable ? fail(POSTERN_E_STATE, taken.message()) : to_abi(taken);
  });
}

}  // namespace

const void* events() {
  static const postern_ext_events table = [] {
    postern_ext_events t{};
    t.on = on;
    t.on_subscription = on_subscription;
    t.id = [](const postern_delivery* d) { return borrow(delivery_of(d).event().id); };
    t.type = [](const postern_delivery* d) { return borrow(delivery_of(d).event().type); };
    t.provider = [](const postern_delivery* d) { return borrow(delivery_of(d).event().provider); };
    t.external_id = [](const postern_delivery* d) { return borrow(delivery_of(d).event().external_id); };
    t.order_key = [](const postern_delivery* d) { return borrow(delivery_of(d).event().order_key); };
    t.received_at = [](const postern_delivery* d) { return delivery_of(d).event().received_at; };
    t.attempt = [](const postern_delivery* d) { return delivery_of(d).attempt(); };
    t.idempotency_key = [](const postern_delivery* d) { return borrow(delivery_of(d).idempotency_key()); };
    t.with = [](const postern_delivery* d) { return borrow(delivery_of(d).subscriber().with_json); };
    t.request = [](const postern_delivery* d) { return handle_of(delivery_of(d).request()); };
    t.emit = emit;
    t.set_result = set_result;
    t.complete = complete;
    t.retry_after = retry_after;
    t.critical = critical;
    t.publish = publish;
    t.subscribe = subscribe;
    t.subscription = subscription;
    t.subscription_fault = subscription_fault;
    t.default_policy = default_policy;
    return t;
  }();
  return &table;
}

}  // namespace postern::extension
