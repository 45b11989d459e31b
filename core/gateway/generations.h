// Generations: the configuration that runs, and those before it in which something is still under way. One of those ends when nobody holds
// it any more: then whoever waits for that takes it, and its plugins are brought to their end.
// Thread-safety: any thread; a generation may be let go on any thread, under whatever lock.
#pragma once

#include <chrono>
#include <memory>
#include <vector>

#include "core/base/mutex.h"
#include "core/gateway/generation.h"

namespace postern::gateway {

class Generations {
 public:
  // From now on it is watched: it is not destroyed where it is let go, but waits to be taken.
  std::shared_ptr<Generation> watch(std::unique_ptr<Generation> generation);

  void set_current(std::shared_ptr<const Generation> generation) EXCLUDES(mutex_);
  std::shared_ptr<const Generation> current() const EXCLUDES(mutex_);
  // The current one and those that are still held, the oldest first.
  std::vector<std::shared_ptr<const Generation>> all() const EXCLUDES(mutex_);

  // The next one that has been let go. Waits for it, for nudge() or for the time: then it may be none.
  std::unique_ptr<Generation> wait_for_ended(std::chrono::milliseconds within);
  std::unique_ptr<Generation> take_ended();
  bool has_ended();
  void nudge();

 private:
  struct Yard {  // while this lives, whoever lets go of one brings it here
    Mutex mutex;
    CondVar changed;
    std::vector<std::unique_ptr<Generation>> ended GUARDED_BY(mutex);
    bool nudged GUARDED_BY(mutex) = false;
  };
  static std::unique_ptr<Generation> take(Yard& yard) REQUIRES(yard.mutex);

  const std::shared_ptr<Yard> yard_ = std::make_shared<Yard>();
  mutable Mutex mutex_;
  std::shared_ptr<const Generation> current_ GUARDED_BY(mutex_);
  std::vector<std::weak_ptr<const Generation>> watched_ GUARDED_BY(mutex_);
};

}  // namespace postern::gateway
