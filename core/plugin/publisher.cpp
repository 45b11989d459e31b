#include "core/plugin/publisher.h"

#include <algorithm>
#include <chrono>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mutex.h"

namespace postern::plugin {
namespace {

constexpr ingest::CallPool::Limits kThreads{.threads = 2, .waiting = Publisher::kMaxWaiting};
constexpr int64_t kTryAgainMs = 1000;  // when all threads hang

bool has_own_handler(const ingest::NewEvent& event) {
  auto is_own = [&](const ingest::Target& t) { return t.plugin == event.provider && t.subscriber == ingest::kOwnHandlers; };
  return event.targets && std::any_of(event.targets->begin(), event.targets->end(), is_own);
}

}  // namespace

struct Publisher::State final : ingest::CommitObserver, std::enable_shared_from_this<Publisher::State> {
  enum class Stage { kStoring, kHandled, kEnded };
  struct Waiting {
    OnPublished on_published;
    int64_t wait_ms = 0;  // 0: not for the handler
    std::shared_ptr<const void> plugin;
    Stage stage = Stage::kStoring;
    Outcome outcome;
    int64_t seq = 0;     // kHandled: of the event
    Alarm::Id deadline;  // kHandled
  };
  struct Pending : ingest::PendingEvent {
    std::shared_ptr<State> state;  // the observer, as long as it may be called
    uint64_t number = 0;
  };

  State(std::shared_ptr<ingest::CallPool> t, int64_t ms) : threads(std::move(t)), callback_ms(ms) {}

  void on_committed(std::vector<std::unique_ptr<ingest::PendingEvent>> events) override;
  void await_result(Pending& pending) EXCLUDES(mutex);
  // The first end counts.
  void end(uint64_t number, Outcome outcome) EXCLUDES(mutex);
  void end_unhandled(uint64_t number, const char* why) EXCLUDES(mutex);
  void tell(uint64_t number) EXCLUDES(mutex);
  void watch() EXCLUDES(mutex);

  const std::shared_ptr<ingest::CallPool> threads;
  const int64_t callback_ms;
  // Set before the first event.
  std::unique_ptr<Outlet> outlet;
  Alarm* alarm = nullptr;
  std::string plugin;

  mutable Mutex mutex;
  CondVar changed;
  bool closed GUARDED_BY(mutex) = false;
  bool watched GUARDED_BY(mutex) = false;  // an alarm looks after the threads
  uint64_t last GUARDED_BY(mutex) = 0;
  size_t result_bytes GUARDED_BY(mutex) = 0;
  std::unordered_map<uint64_t, Waiting> waiting GUARDED_BY(mutex);  // until their callbacks have returned
  log::Throttle lost GUARDED_BY(mutex){1};
};

// One end that the plugin is told of.
class Publisher::Call final : public ingest::CallPool::Call {
 public:
  Call(std::shared_ptr<State> state, uint64_t number) : ingest::CallPool::Call(0, 0), state_(std::move(state)), number_(number) {}
  // However long it has waited behind others that hang.
  int64_t deadline() const override { return steady_ms() + state_->callback_ms; }
  void run() override {
    State::Waiting ended;
    {
      MutexLock lock(state_->mutex);
      ended = std::move(state_->waiting.at(number_));
    }
    ended.on_published(ended.outcome);
    ended.on_published = nullptr;  // what it holds may be the plugin's
    ended.plugin.reset();
    MutexLock lock(state_->mutex);
    state_->result_bytes -= ended.outcome.result.size();
    state_->waiting.erase(number_);
    state_->changed.notify_all();
  }

 private:
  const std::shared_ptr<State> state_;
  const uint64_t number_;
};

void Publisher::State::on_committed(std::vector<std::unique_ptr<ingest::PendingEvent>> events) {
  for (auto& event : events) {
    auto& pending = static_cast<Pending&>(*event);
    if (pending.outcome == ingest::Outcome::kStored) {
      await_result(pending);
      continue;
    }
    Outcome outcome;
    outcome.duplicate = pending.outcome == ingest::Outcome::kDuplicate;
    if (outcome.duplicate) {
      outcome.event_id = std::move(pending.event_id);
    } else {
      outcome.status = pending.status;
    }
    end(pending.number, std::move(outcome));
  }
}

// Here, before the dispatcher learns of the event, so that no result can come too early. Not under the lock: the board calls under its own.
void Publisher::State::await_result(Pending& pending) {
  Outcome outcome;
  outcome.event_id = pending.event_id;
  bool awaited;
  {
    MutexLock lock(mutex);
    Waiting& of = waiting.at(pending.number);
    awaited = of.wait_ms > 0 && !closed;
    if (of.wait_ms > 0 && closed) outcome.error = "the plugin is about to end";
    if (awaited) {
      of.stage = Stage::kHandled;
      of.outcome = outcome;
      of.seq = pending.seq;
      of.deadline = alarm->set(steady_ms() + of.wait_ms, [self = shared_from_this(), n = pending.number] {
        self->end_unhandled(n, "the handler has not settled it in time");
      });
    }
  }
  if (!awaited) return end(pending.number, std::move(outcome));
  outlet->results.await(pending.seq, [self = shared_from_this(), n = pending.number, outcome](std::optional<std::string> result) mutable {
    outcome.settled = result.has_value();
    result ? outcome.result = std::move(*result) : outcome.error = "the handler has failed; its delivery is dead";
    self->end(n, std::move(outcome));
  });
  bool ended;  // by its deadline or close(), before the board knew of it
  {
    MutexLock lock(mutex);
    auto found = waiting.find(pending.number);
    ended = found == waiting.end() || found->second.stage == Stage::kEnded;
  }
  if (ended) outlet->results.forget(pending.seq);
}

void Publisher::State::end_unhandled(uint64_t number, const char* why) {
  Outcome outcome;
  int64_t seq;
  {
    MutexLock lock(mutex);
    auto found = waiting.find(number);
    if (found == waiting.end() || found->second.stage != Stage::kHandled) return;
    outcome = found->second.outcome;
    seq = found->second.seq;
  }
  outlet->results.forget(seq);
  outcome.error = why;
  end(number, std::move(outcome));
}

void Publisher::State::end(uint64_t number, Outcome outcome) {
  if (!outcome.status) outcome.error = outcome.status.message();
  Waiting untold;  // ends after the lock
  bool handled, is_told, logs;
  uint64_t suppressed = 0;
  Alarm::Id deadline;
  {
    MutexLock lock(mutex);
    auto found = waiting.find(number);
    if (found == waiting.end() || found->second.stage == Stage::kEnded) return;
    Waiting& of = found->second;
    handled = std::exchange(of.stage, Stage::kEnded) == Stage::kHandled;
    deadline = of.deadline;
    if (result_bytes + outcome.result.size() > kMaxResultBytes) {
      outcome.result.clear();
      outcome.settled = false;
      outcome.error = "the plugin does not take results as fast as they come";
    }
    result_bytes += outcome.result.size();
    of.outcome = std::move(outcome);
    is_told = of.on_published != nullptr;
    logs = !is_told && !of.outcome.status && lost.pass(suppressed);
    if (!is_told) {
      untold = std::move(of);
      waiting.erase(found);
      changed.notify_all();
    }
  }
  if (handled) alarm->remove(deadline);
  if (is_told) return tell(number);
  if (!logs) return;
  log::error("an event that a plugin has published was not stored, and it wants to be told of none",
             {{"plugin", plugin}, {"error", untold.outcome.error}, {"suppressed", suppressed}});
}

void Publisher::State::tell(uint64_t number) {
  if (threads->submit(std::make_shared<Call>(shared_from_this(), number))) return watch();
  alarm->set(steady_ms() + kTryAgainMs, [self = shared_from_this(), number] { self->tell(number); });
}

// Callbacks that hang must not keep those that wait behind them from ever running, though nothing else may be published for hours.
void Publisher::State::watch() {
  MutexLock lock(mutex);
  if (watched) return;
  watched = true;
  alarm->set(steady_ms() + kTryAgainMs, [self = shared_from_this()] {
    {
      MutexLock again(self->mutex);
      self->watched = false;
    }
    if (self->threads->look_after()) self->watch();
  });
}

Publisher::Publisher(int64_t callback_ms)
    : threads_(std::make_shared<ingest::CallPool>(kThreads)), state_(std::make_shared<State>(threads_, callback_ms)) {}
Publisher::~Publisher() { threads_->stop(0); }

void Publisher::connect(Outlet outlet, Alarm& alarm, std::string plugin) {
  state_->outlet = std::make_unique<Outlet>(std::move(outlet));
  state_->alarm = &alarm;
  state_->plugin = std::move(plugin);
  connected_ = true;
}

Status Publisher::publish(ingest::NewEvent event, int64_t wait_ms, OnPublished on_published, std::shared_ptr<const void> plugin) {
  if (!connected_) return {Code::kUnavailable, "events can be published once the plugin is active"};
  State& s = *state_;
  event.received_at = wall_ms();
  s.outlet->address(event);
  if (event.external_id.empty()) event.dedupe_until = 0;
  auto pending = std::make_unique<State::Pending>();
  State::Waiting waiting;
  waiting.wait_ms = on_published && has_own_handler(event) ? wait_ms : 0;
  waiting.on_published = std::move(on_published);
  waiting.plugin = std::move(plugin);
  pending->event = std::move(event);
  pending->observer = state_.get();
  pending->state = state_;
  {
    MutexLock lock(s.mutex);
    if (s.closed) return {Code::kGone, "the plugin is being stopped"};
    if (s.waiting.size() >= kMaxWaiting) {
      return {Code::kLimit, "the plugin has " + std::to_string(kMaxWaiting) + " events out of which it was not told yet; try again later"};
    }
    pending->number = ++s.last;
    s.waiting.emplace(pending->number, std::move(waiting));
  }
  if (Status accepting = s.outlet->sink.accepting(); !accepting) {
    Outcome outcome;
    outcome.status = std::move(accepting);
    s.end(pending->number, std::move(outcome));
  } else {
    s.outlet->sink.submit(std::move(pending));
  }
  return Status::ok();
}

bool Publisher::close(int64_t until_ms) {
  State& s = *state_;
  std::vector<uint64_t> handled;
  {
    MutexLock lock(s.mutex);
    s.closed = true;
    for (const auto& [number, of] : s.waiting) {
      if (of.stage == State::Stage::kHandled) handled.push_back(number);
    }
  }
  for (uint64_t number : handled) s.end_unhandled(number, "the plugin is about to end");
  {
    MutexLock lock(s.mutex);
    for (int64_t now = steady_ms(); !s.waiting.empty() && now < until_ms; now = steady_ms()) {
      s.changed.wait_for(s.mutex, std::chrono::milliseconds(until_ms - now));
    }
    if (!s.waiting.empty()) return false;
  }
  return threads_->stop(std::max<int64_t>(0, until_ms - steady_ms()));
}

size_t Publisher::waiting() const {
  MutexLock lock(state_->mutex);
  return state_->waiting.size();
}

}  // namespace postern::plugin
