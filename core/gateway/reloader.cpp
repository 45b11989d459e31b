#include "core/gateway/reloader.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "core/base/clock.h"

namespace postern::gateway {

struct Reloader::Shared {
  Mutex mutex;
  CondVar changed;
  uint64_t asked GUARDED_BY(mutex) = 0;
  Last last GUARDED_BY(mutex);
  bool running GUARDED_BY(mutex) = false;
  bool stopping GUARDED_BY(mutex) = false;
};

Reloader::Reloader(Generations& generations, Reload reload, Retire retire)
    : generations_(generations), reload_(std::move(reload)), retire_(std::move(retire)), shared_(std::make_shared<Shared>()) {}

void Reloader::start() {
  MutexLock lock(shared_->mutex);
  shared_->running = true;
  std::thread([this, shared = shared_] { run(shared, generations_, reload_, retire_); }).detach();  // one that hangs could not be joined
}

bool Reloader::stop(int64_t within_ms) {
  int64_t until = steady_ms() + within_ms;
  MutexLock lock(shared_->mutex);
  shared_->stopping = true;
  generations_.nudge();
  while (shared_->running && steady_ms() < until) {
    shared_->changed.wait_for(shared_->mutex, std::chrono::milliseconds(std::max<int64_t>(1, until - steady_ms())));
  }
  return !shared_->running;
}

uint64_t Reloader::ask() {
  MutexLock lock(shared_->mutex);
  uint64_t begun = std::max(shared_->last.number, shared_->last.under_way);
  shared_->asked = begun + 1;
  generations_.nudge();
  return shared_->asked;
}

Reloader::Last Reloader::last() const {
  MutexLock lock(shared_->mutex);
  return shared_->last;
}

void Reloader::run(const std::shared_ptr<Shared>& shared, Generations& generations, const Reload& reload, const Retire& retire) {
  MutexLock lock(shared->mutex);
  while (!shared->stopping) {
    bool wanted = shared->asked > shared->last.number;
    if (wanted) shared->last.under_way = shared->asked;
    shared->mutex.unlock();
    Status status = wanted ? reload() : Status::ok();
    // What has ended meanwhile comes to its end first: a reload that is asked for again and again must not let them pile up.
    std::unique_ptr<Generation> ended = wanted ? generations.take_ended() : generations.wait_for_ended();
    if (ended) retire(std::move(ended));
    shared->mutex.lock();
    if (!wanted) continue;
    shared->last = {shared->last.under_way, 0, wall_ms(), status ? std::string() : status.message()};
    shared->changed.notify_all();
  }
  shared->running = false;
  shared->changed.notify_all();
}

}  // namespace postern::gateway
