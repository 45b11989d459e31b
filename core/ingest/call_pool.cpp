#include "core/ingest/call_pool.h"

#include <algorithm>
#include <deque>
#include <thread>
#include <utility>
#include <vector>

#include "core/base/clock.h"
#include "core/base/mutex.h"
#include "core/base/thread_name.h"

namespace postern::ingest {

struct CallPool::State {
  struct Worker {
    std::shared_ptr<Call> call;  // that it is inside
    int64_t deadline_ms = 0;     // of that
    bool abandoned = false;
  };

  explicit State(Limits l) : limits(l) {}
  static void work(const std::shared_ptr<State>& self, const std::shared_ptr<Worker>& worker);
  void spawn(const std::shared_ptr<State>& self) REQUIRES(mutex);
  void give_up_overdue() REQUIRES(mutex);
  bool may_grow() const REQUIRES(mutex) { return workers.size() - stuck < limits.threads && stuck <= limits.threads; }
  std::shared_ptr<Call> next(Worker& worker) EXCLUDES(mutex);
  // False: the thread was given up meanwhile, and ends.
  bool done(Worker& worker) EXCLUDES(mutex);

  const Limits limits;
  mutable Mutex mutex;
  CondVar changed;
  std::deque<std::shared_ptr<Call>> waiting GUARDED_BY(mutex);
  size_t waiting_bytes GUARDED_BY(mutex) = 0;
  std::vector<std::shared_ptr<Worker>> workers GUARDED_BY(mutex);  // the abandoned ones too, until they end
  uint32_t idle GUARDED_BY(mutex) = 0;
  uint32_t stuck GUARDED_BY(mutex) = 0;
  bool stopping GUARDED_BY(mutex) = false;
};

void CallPool::State::spawn(const std::shared_ptr<State>& self) {
  auto worker = std::make_shared<Worker>();
  workers.push_back(worker);
  std::thread([self, worker] { work(self, worker); }).detach();  // one that is stuck cannot be joined; stop() counts instead
}

void CallPool::State::work(const std::shared_ptr<State>& self, const std::shared_ptr<Worker>& worker) {
  name_thread("call");
  while (auto call = self->next(*worker)) {
    call->run();
    call.reset();  // before it counts as done: what it owns may be the plugin's
    if (!self->done(*worker)) break;
  }
  MutexLock lock(self->mutex);
  if (worker->abandoned) --self->stuck;
  self->workers.erase(std::find(self->workers.begin(), self->workers.end(), worker));
  self->changed.notify_all();
}

std::shared_ptr<CallPool::Call> CallPool::State::next(Worker& worker) {
  MutexLock lock(mutex);
  ++idle;
  while (waiting.empty() && !stopping) changed.wait(mutex);
  --idle;
  if (stopping) return nullptr;
  worker.call = std::move(waiting.front());
  worker.deadline_ms = worker.call->deadline();
  waiting.pop_front();
  waiting_bytes -= worker.call->bytes;
  return worker.call;
}

bool CallPool::State::done(Worker& worker) {
  std::shared_ptr<Call> call;  // ends after the lock
  MutexLock lock(mutex);
  call = std::move(worker.call);
  return !worker.abandoned;
}

CallPool::CallPool(Limits limits) : state_(std::make_shared<State>(limits)) {}
CallPool::~CallPool() { stop(0); }

bool CallPool::submit(std::shared_ptr<Call> call) {
  State& s = *state_;
  MutexLock lock(s.mutex);
  if (s.stopping) return false;
  bool needs_thread = s.idle <= s.waiting.size();
  if (needs_thread) s.give_up_overdue();
  bool may_grow = s.may_grow();
  if (s.workers.size() == s.stuck && !may_grow) return false;
  bool too_large = !s.waiting.empty() && s.waiting_bytes + call->bytes > s.limits.waiting_bytes;
  if (s.waiting.size() >= s.limits.waiting || too_large) {
    if (needs_thread && may_grow) s.spawn(state_);  // it works off what those left who are gone
    return false;
  }
  s.waiting_bytes += call->bytes;
  s.waiting.push_back(std::move(call));
  needs_thread && may_grow ? s.spawn(state_) : s.changed.notify_one();
  return true;
}

bool CallPool::look_after() {
  State& s = *state_;
  MutexLock lock(s.mutex);
  if (s.stopping || s.waiting.empty()) return false;
  s.give_up_overdue();
  if (s.idle == 0 && s.may_grow()) s.spawn(state_);
  return true;
}

void CallPool::State::give_up_overdue() {
  int64_t now = steady_ms();
  for (const auto& worker : workers) {
    if (!worker->call || worker->abandoned || now <= worker->deadline_ms) continue;
    worker->abandoned = true;
    ++stuck;
  }
}

bool CallPool::stop(int64_t within_ms) {
  State& s = *state_;
  int64_t until = steady_ms() + within_ms;
  std::deque<std::shared_ptr<Call>> dropped;  // end after the lock
  MutexLock lock(s.mutex);
  s.stopping = true;
  dropped.swap(s.waiting);
  s.waiting_bytes = 0;
  s.changed.notify_all();
  while (!s.workers.empty() && steady_ms() < until) {
    s.changed.wait_for(s.mutex, std::chrono::milliseconds(std::max<int64_t>(1, until - steady_ms())));
  }
  return s.workers.empty();
}

CallPool::Status CallPool::status() const {
  const State& s = *state_;
  MutexLock lock(s.mutex);
  auto threads = static_cast<uint32_t>(s.workers.size());
  return {threads, threads - s.idle, s.stuck, s.waiting.size()};
}

}  // namespace postern::ingest
