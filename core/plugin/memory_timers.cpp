#include "core/plugin/memory_timers.h"

#include <string>
#include <unordered_map>
#include <utility>

#include "core/base/clock.h"
#include "core/base/mutex.h"

namespace postern::plugin {
namespace {

constexpr ingest::CallPool::Limits kThreads{.threads = 2, .waiting = MemoryTimers::kMaxWaiting};
constexpr int64_t kTryAgainMs = 1000;  // when all threads hang

}  // namespace

struct MemoryTimers::State {
  struct Waiting {
    Callback callback;
    Alarm::Id alarm;
  };

  State(std::shared_ptr<ingest::CallPool> t, int64_t ms) : threads(std::move(t)), callback_ms(ms) {}
  const std::shared_ptr<ingest::CallPool> threads;
  const int64_t callback_ms;
  Alarm* alarm = nullptr;  // set before the first timer

  mutable Mutex mutex;
  bool closed GUARDED_BY(mutex) = false;
  bool watched GUARDED_BY(mutex) = false;  // an alarm looks after the threads
  uint64_t last GUARDED_BY(mutex) = 0;
  std::unordered_map<uint64_t, Waiting> waiting GUARDED_BY(mutex);  // whose callback has not begun

  // Nothing when it was cancelled meanwhile, or all are closed.
  Callback take(uint64_t timer) EXCLUDES(mutex) {
    MutexLock lock(mutex);
    auto found = waiting.find(timer);
    if (found == waiting.end()) return nullptr;
    Callback callback = std::move(found->second.callback);
    waiting.erase(found);
    return callback;
  }
};

class MemoryTimers::Call final : public ingest::CallPool::Call {
 public:
  Call(std::shared_ptr<State> state, uint64_t timer) : ingest::CallPool::Call(0, 0), state_(std::move(state)), timer_(timer) {}
  // However long it has waited behind others that hang.
  int64_t deadline() const override { return steady_ms() + state_->callback_ms; }
  void run() override {
    if (Callback callback = state_->take(timer_)) callback();
  }

 private:
  const std::shared_ptr<State> state_;
  const uint64_t timer_;
};

MemoryTimers::MemoryTimers(int64_t callback_ms)
    : threads_(std::make_shared<ingest::CallPool>(kThreads)), state_(std::make_shared<State>(threads_, callback_ms)) {}
MemoryTimers::~MemoryTimers() {
  close();
  threads_->stop(0);
}

void MemoryTimers::connect(Alarm& alarm) {
  state_->alarm = &alarm;
  connected_ = true;
}

void MemoryTimers::close() {
  std::unordered_map<uint64_t, State::Waiting> forgotten;  // ends after the lock
  {
    MutexLock lock(state_->mutex);
    state_->closed = true;
    forgotten.swap(state_->waiting);
  }
  for (const auto& [timer, waiting] : forgotten) state_->alarm->remove(waiting.alarm);
}

Result<uint64_t> MemoryTimers::start(int64_t delay_ms, Callback callback) {
  if (!connected_) return Status(Code::kUnavailable, "timers can be started once the plugin is active");
  State& s = *state_;
  MutexLock lock(s.mutex);
  if (s.closed) return Status(Code::kGone, "the plugin is being stopped");
  if (s.waiting.size() >= kMaxWaiting) {
    return Status(Code::kLimit, "the plugin has " + std::to_string(kMaxWaiting) + " timers in memory already; cancel some");
  }
  uint64_t timer = ++s.last;
  Alarm::Id alarm = s.alarm->set(steady_ms() + delay_ms, [state = state_, timer] { ring(state, timer); });
  s.waiting.emplace(timer, State::Waiting{std::move(callback), alarm});
  return timer;
}

// On the alarm's thread.
void MemoryTimers::ring(const std::shared_ptr<State>& state, uint64_t timer) {
  if (state->threads->submit(std::make_shared<Call>(state, timer))) return watch(state);
  MutexLock lock(state->mutex);
  auto found = state->waiting.find(timer);
  if (found == state->waiting.end()) return;
  found->second.alarm = state->alarm->set(steady_ms() + kTryAgainMs, [state, timer] { ring(state, timer); });
}

// Callbacks that hang must not keep those that wait behind them from ever running, though no other timer may be due for hours.
void MemoryTimers::watch(const std::shared_ptr<State>& state) {
  MutexLock lock(state->mutex);
  if (state->closed || state->watched) return;
  state->watched = true;
  state->alarm->set(steady_ms() + kTryAgainMs, [state] {
    {
      MutexLock again(state->mutex);
      state->watched = false;
    }
    if (state->threads->look_after()) watch(state);
  });
}

bool MemoryTimers::cancel(uint64_t timer) {
  State::Waiting cancelled;  // ends after the lock
  {
    MutexLock lock(state_->mutex);
    auto found = state_->waiting.find(timer);
    if (found == state_->waiting.end()) return false;
    cancelled = std::move(found->second);
    state_->waiting.erase(found);
  }
  state_->alarm->remove(cancelled.alarm);
  return true;
}

size_t MemoryTimers::waiting() const {
  MutexLock lock(state_->mutex);
  return state_->waiting.size();
}

}  // namespace postern::plugin
