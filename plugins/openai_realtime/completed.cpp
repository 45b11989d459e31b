#include "completed.h"

#include <algorithm>
#include <utility>

namespace openai_realtime {
namespace {

constexpr std::chrono::seconds kFirstWait(1), kLongestWait(30);

}  // namespace

void Completed::publish(std::string call, std::string body, std::string external_id) {
  attempt(std::make_shared<Event>(Event{std::move(call), std::move(body), std::move(external_id)}));
}

void Completed::attempt(std::shared_ptr<Event> event) {
  ++event->tries;
  try {
    publisher_.publish({.type = "voice.call.completed", .body = event->body, .order_key = event->call, .external_id = event->external_id},
                       [this, event](const postern::Published& told) {
                         if (!told.durable) again(event, std::string(told.error));
                       });
  } catch (const postern::Gone& gone) {  // the plugin ends: nobody can try again
    log_.error("call " + event->call + ": that it has ended could not be kept: " + gone.what());
  } catch (const postern::Error& error) {
    again(event, error.what());
  }
}

void Completed::again(std::shared_ptr<Event> event, const std::string& why) {
  if (event->tries == 1) log_.warn("call " + event->call + ": that it has ended cannot be kept now, and is tried again: " + why);
  const auto wait = std::min<std::chrono::seconds>(kLongestWait, kFirstWait * (1u << std::min<size_t>(event->tries - 1, 5)));
  const bool room = waiting_.fetch_add(1) < kMaxWaiting && event->tries < kMaxTries;
  try {
    if (!room) throw postern::Error(POSTERN_E_LIMIT, "it was tried for too long, or too many wait");
    timers_.start(wait, [this, event] {
      --waiting_;
      attempt(event);
    });
  } catch (const postern::Error& error) {
    --waiting_;
    log_.error("call " + event->call + ": that it has ended could not be kept: " + why + "; " + error.what());
  }
}

}  // namespace openai_realtime
