// postern/publisher.hpp - events that a plugin publishes outside of any delivery. Part of plugin.hpp.
//
//   publisher_ = setup.publisher();                                        // in init
//   publisher_.publish({.type = "voice.call.completed", .body = json, .external_id = call_id});
//   publisher_.publish({.type = "voice.tool.called", .body = json, .wait = std::chrono::seconds(5)},
//                      [](const postern::Published& published) { if (published.settled) answer(published.result); });
//
// Errors: a call that the host refuses throws Error. Threads: a Publisher is a plain value for any thread, from activate on. Callbacks run
// on a thread that serves only this plugin's published events.
#pragma once

#include <algorithm>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "request.hpp"

namespace postern::inline sdk {

// postern_publish_desc: see ext/events.h.
struct Publication {
  std::string_view type = {};  // as it is used: "voice.call.completed"
  std::string_view body = {};  // JSON
  std::string_view order_key = {};
  std::string_view external_id = {};  // empty: never a duplicate
  milliseconds wait = {};             // for the plugin's own handler, at most an hour; 0: only until it is durable
};

// What came of it. Views are good until the callback returns.
struct Published {
  bool durable = false;    // false: it may be published again, later; `error` says why it is not
  bool duplicate = false;  // it was there before; nothing was waited for
  bool settled = false;    // the handler is done with it in time, and `result` is what it set
  std::string_view event_id = {}, result = {}, error = {};
};

namespace detail {

// Freed by its callback.
struct PublishedSlot {
  HostTables tables;
  std::function<void(const Published&)> on_published;
};

inline void run_published(postern_instance*, void* user, const postern_published* theirs) noexcept {
  std::unique_ptr<PublishedSlot> slot(static_cast<PublishedSlot*>(user));
  auto warn = [&](std::string_view why) noexcept {
    if (slot->tables.log == nullptr) return;
    try {
      std::string text = "the callback of a published event failed: " + std::string(why);
      slot->tables.log->write(slot->tables.host, POSTERN_LOG_WARN, to_abi(text));
    } catch (...) {  // out of memory: nobody can be told
    }
  };
  try {
    slot->on_published({theirs->status == POSTERN_OK, theirs->duplicate != 0, theirs->settled != 0, to_view(theirs->event_id),
                        to_view(theirs->result), to_view(theirs->error)});
  } catch (const std::exception& error) {
    warn(error.what());
  } catch (...) {
    warn("unknown exception");
  }
}

}  // namespace detail

// Setup::publisher() makes it.
class Publisher {
 public:
  Publisher() = default;
  explicit Publisher(const detail::HostTables& tables) : tables_(tables) {}

  // Does not wait. `on_published`, where there is one, runs once; an exception of it is logged. Throws Gone when the plugin is about to be
  // deactivated, Error when the host refuses it or has no room for one more; then the callback does not run.
  void publish(const Publication& event, std::function<void(const Published&)> on_published = {}) const {
    const postern_ext_events& events = detail::need(tables_.events, POSTERN_EXT_EVENTS);
    postern_publish_desc desc{};
    desc.struct_size = sizeof desc;
    desc.wait_ms = static_cast<uint32_t>(std::clamp<int64_t>(event.wait.count(), 0, std::numeric_limits<uint32_t>::max()));
    desc.type = to_abi(event.type);
    desc.body = to_abi(event.body);
    desc.order_key = to_abi(event.order_key);
    desc.external_id = to_abi(event.external_id);
    if (!on_published) return detail::check(events.publish(tables_.host, &desc, nullptr, nullptr), "publish");
    auto slot = std::make_unique<detail::PublishedSlot>(detail::PublishedSlot{tables_, std::move(on_published)});
    detail::check(events.publish(tables_.host, &desc, &detail::run_published, slot.get()), "publish");
    static_cast<void>(slot.release());  // its callback has it, and may have freed it already
  }

 private:
  detail::HostTables tables_;
};

}  // namespace postern::inline sdk
