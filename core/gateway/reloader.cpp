#include "core/gateway/reloader.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <thread>
#include <utility>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/thread_name.h"

namespace postern::gateway {
namespace {

constexpr std::chrono::milliseconds kLookEvery(1000);  // at those that did not come to their end

}  // namespace

struct Reloader::Shared {
  Mutex mutex;
  CondVar changed;
  uint64_t asked GUARDED_BY(mutex) = 0;
  Last last GUARDED_BY(mutex);
  int running GUARDED_BY(mutex) = 0;  // threads
  std::atomic<bool> stopping{false};

  void ended() EXCLUDES(mutex) {
    MutexLock lock(mutex);
    --running;
    changed.notify_all();
  }
};

Reloader::Reloader(Generations& generations, Reload reload, Retire retire)
    : generations_(generations), reload_(std::move(reload)), retire_(std::move(retire)), shared_(std::make_shared<Shared>()) {}

// Detached: one that hangs could not be joined.
void Reloader::start() {
  MutexLock lock(shared_->mutex);
  shared_->running = 2;
  std::thread([this, shared = shared_] {
    name_thread("reload");
    reload_when_asked(*shared, reload_);
    shared->ended();
  }).detach();
  std::thread([this, shared = shared_] {
    name_thread("retire");
    retire_what_ends(*shared, generations_, retire_);
    shared->ended();
  }).detach();
}

void Reloader::give_up() {
  MutexLock lock(shared_->mutex);
  shared_->stopping = true;
  shared_->changed.notify_all();
  generations_.nudge();
}

bool Reloader::stopping() const { return shared_->stopping; }

bool Reloader::stop(int64_t within_ms) {
  give_up();
  int64_t until = steady_ms() + within_ms;
  MutexLock lock(shared_->mutex);
  while (shared_->running > 0 && steady_ms() < until) {
    shared_->changed.wait_for(shared_->mutex, std::chrono::milliseconds(std::max<int64_t>(1, until - steady_ms())));
  }
  return shared_->running == 0;
}

uint64_t Reloader::ask() {
  MutexLock lock(shared_->mutex);
  shared_->asked = std::max(shared_->last.number, shared_->last.under_way) + 1;
  shared_->changed.notify_all();
  return shared_->asked;
}

Reloader::Last Reloader::last() const {
  MutexLock lock(shared_->mutex);
  return shared_->last;
}

void Reloader::reload_when_asked(Shared& shared, const Reload& reload) {
  MutexLock lock(shared.mutex);
  while (!shared.stopping) {
    if (shared.asked <= shared.last.number) {
      shared.changed.wait(shared.mutex);
      continue;
    }
    shared.last.under_way = shared.asked;
    shared.mutex.unlock();
    Status status;
    try {
      status = reload();
    } catch (const std::exception& e) {
      status = {Code::kInternal, std::string("the reload broke off: ") + e.what()};
    }
    shared.mutex.lock();
    shared.last = {shared.last.under_way, 0, wall_ms(), status ? std::string() : status.message()};
  }
}

void Reloader::retire_what_ends(Shared& shared, Generations& generations, const Retire& retire) {
  while (!shared.stopping) {
    std::unique_ptr<Generation> ended = generations.wait_for_ended(kLookEvery);
    try {
      retire(std::move(ended));
    } catch (const std::exception& e) {
      log::error("a configuration did not come to its end", {{"error", e.what()}});
    }
  }
}

}  // namespace postern::gateway
