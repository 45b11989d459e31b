#include "core/gateway/generations.h"

#include <algorithm>
#include <utility>

#include "core/base/clock.h"

namespace postern::gateway {

std::shared_ptr<Generation> Generations::watch(std::unique_ptr<Generation> generation) {
  // Not the yard itself: a plugin in it knows its generation, weakly, and so keeps what is captured here.
  std::shared_ptr<Generation> shared(generation.release(), [yard_of = std::weak_ptr<Yard>(yard_)](Generation* generation) {
    std::unique_ptr<Generation> ended(generation);
    auto yard = yard_of.lock();
    if (!yard) return;
    MutexLock lock(yard->mutex);
    yard->ended.push_back(std::move(ended));
    yard->changed.notify_all();
  });
  MutexLock lock(mutex_);
  std::erase_if(watched_, [](const auto& one) { return one.expired(); });
  watched_.push_back(shared);
  return shared;
}

void Generations::set_current(std::shared_ptr<const Generation> generation) {
  MutexLock lock(mutex_);
  current_.swap(generation);
}

std::shared_ptr<const Generation> Generations::current() const {
  MutexLock lock(mutex_);
  return current_;
}

std::vector<std::shared_ptr<const Generation>> Generations::all() const {
  std::vector<std::shared_ptr<const Generation>> held;
  MutexLock lock(mutex_);
  for (const auto& one : watched_) {
    if (auto generation = one.lock()) held.push_back(std::move(generation));
  }
  return held;
}

std::unique_ptr<Generation> Generations::take(Yard& yard) {
  if (yard.ended.empty()) return nullptr;
  std::unique_ptr<Generation> first = std::move(yard.ended.front());
  yard.ended.erase(yard.ended.begin());
  return first;
}

std::unique_ptr<Generation> Generations::wait_for_ended(std::chrono::milliseconds within) {
  int64_t until = steady_ms() + within.count();
  MutexLock lock(yard_->mutex);
  for (int64_t now = steady_ms(); yard_->ended.empty() && !yard_->nudged && now < until; now = steady_ms()) {
    yard_->changed.wait_for(yard_->mutex, std::chrono::milliseconds(until - now));
  }
  yard_->nudged = false;
  return take(*yard_);
}

std::unique_ptr<Generation> Generations::take_ended() {
  MutexLock lock(yard_->mutex);
  return take(*yard_);
}

bool Generations::has_ended() {
  MutexLock lock(yard_->mutex);
  return !yard_->ended.empty();
}

void Generations::nudge() {
  MutexLock lock(yard_->mutex);
  yard_->nudged = true;
  yard_->changed.notify_all();
}

}  // namespace postern::gateway
