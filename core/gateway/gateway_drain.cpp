// How a gateway ends.
#include <algorithm>
#include <chrono>
#include <future>

#include "core/base/clock.h"
#include "core/gateway/gateway.h"
#include "core/plugin/crash_record.h"

namespace postern::gateway {
namespace {

constexpr int64_t kCloseWithinMs = 5'000;      // for answers at hand to go out
constexpr int64_t kNewcomersAskWithinMs = 500;  // who was taken from a held socket and has not said anything
constexpr uint16_t kSessionsGoAway = 1001;
constexpr int64_t kHandlersNeedMs = 500;       // to settle, once a request of theirs has been given up
constexpr int64_t kReloadEndsWithinMs = 5'000;  // unless it hangs in a plugin
constexpr int64_t kNoticesNeedMs = 1'000;       // to be stored

}  // namespace

void Gateway::on_every_loop(const std::function<void(Loop&)>& task) {
  for (auto& loop : loops_) {
    if (!loop->thread.joinable()) continue;
    std::promise<void> done;
    loop->loop.post([&] {
      task(*loop);
      done.set_value();
    });
    done.get_future().wait();
  }
}

// In the order of the way: no new event is taken, what is in is answered, handlers finish, the store commits. Until then the
// listeners stay open, so that whoever comes is told 503 and to come again, not reset; but whoever comes to a socket that the service
// manager holds is left to the next gateway.
void Gateway::drain() {
  reloader_->give_up();
  on_every_loop([](Loop& loop) {
    for (auto& acceptor : loop.acceptors) {
      if (acceptor->listener().is_adopted()) acceptor->stop();
    }
    loop.front->ingest().refuse_new_events();
  });
  // Only now: who is answered on one loop because of the stop must not find another that has not heard of it.
  on_every_loop([](Loop& loop) {
    loop.front->ingest().start_draining();
    loop.front->connections().drain();
  });
  for (const auto& generation : generations_.all()) generation->assembly->close_sessions(kSessionsGoAway, "the gateway stops");
  int64_t until = steady_ms() + kCloseWithinMs;
  auto busy = [this] {
    return std::any_of(loops_.begin(), loops_.end(), [](const auto& l) { return l->front && l->front->connections().size() > 0; });
  };
  while (busy() && steady_ms() < until) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  wait_for_newcomers();

  on_every_loop([](Loop& loop) { loop.front->ingest().end_calls(); });  // plugins that took too long for that

  stop_notices();
  retention_->stop();
  jobs_->stop();
  timers_->stop();
  int64_t drain_ms = generations_.current()->config.drain.count();
  client_.end_within(drain_ms - std::min(kHandlersNeedMs, drain_ms / 2));  // whoever waits for an answer still has time to settle
  all_back_ = dispatcher_->stop(drain_ms) && all_back_;
  all_back_ = reloader_->stop(std::max(drain_ms, kReloadEndsWithinMs)) && all_back_;
  client_.stop();
  const auto held = generations_.all();  // so that none ends without being told
  all_back_ = all_back_ && retire_all(held);
  all_back_ = health_.stop() && all_back_;
  if (all_back_) {
    for (const auto& generation : held) generation->assembly->deactivate(static_cast<uint32_t>(drain_ms));
  }
  publisher_.close(steady_ms() + kNoticesNeedMs);
  store_->stop();
  admin_worker_->stop();
  on_every_loop([](Loop& loop) {
    for (auto& acceptor : loop.acceptors) acceptor->stop();
    loop.front->connections().close();
    for (auto& admin : loop.admins) admin->connections().close();
  });
  for (auto& loop : loops_) {
    loop->loop.stop();
    if (loop->thread.joinable()) loop->thread.join();
  }
  if (auto* record = plugin::CrashRecord::current()) record->end();  // whoever is left behind ended nothing
  if (!all_back_) log::warn("a handler did not come back; leaving without it");
}

// Who has just been taken from a held socket has a moment for its request: to close would be to reset it.
void Gateway::wait_for_newcomers() {
  bool any_held = std::any_of(listeners_.begin(), listeners_.end(), [](const auto& l) { return l->is_adopted(); });
  auto newcomers = [this] {
    return std::any_of(loops_.begin(), loops_.end(), [](const auto& l) { return l->front && l->front->connections().newcomers() > 0; });
  };
  int64_t until = steady_ms() + kNewcomersAskWithinMs;
  while (any_held && newcomers() && steady_ms() < until) std::this_thread::sleep_for(std::chrono::milliseconds(5));
}

}  // namespace postern::gateway
