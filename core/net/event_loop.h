// EventLoop: one thread, many sockets (epoll), woken by others through an eventfd. Nothing on it may wait: slow work goes to
// worker threads and comes back with post().
// Thread-safety: post() and stop() from any thread; everything else on the loop's own thread (or before run()).
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "core/base/mutex.h"
#include "core/base/status.h"
#include "core/net/timer_wheel.h"

namespace postern::net {

class EventLoop {
 public:
  using Task = std::function<void()>;

  // Something with a file descriptor. It may be unwatched, but not destroyed, while the loop calls it: see bury().
  class Watcher {
   public:
    virtual ~Watcher() = default;
    virtual void on_ready(uint32_t epoll_events) = 0;
  };

  EventLoop();
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  Status open();
  // Runs until stop(). What was posted before the stop is still run.
  void run();
  void stop();

  // Runs the task on the loop's thread. Tasks run in the order in which they came; one wake-up serves all that wait.
  void post(Task task) EXCLUDES(mutex_);

  // Runs the task when the events and timers of this turn are through, before the loop waits again: for what many events of a turn would
  // else do one by one. On the loop's thread; it costs no wake-up.
  void at_end_of_turn(Task task) { at_end_.push_back(std::move(task)); }

  Status watch(int fd, uint32_t epoll_events, Watcher& watcher);
  void rewatch(int fd, uint32_t epoll_events, Watcher& watcher);
  void unwatch(int fd);

  // Keeps something alive until this turn is over: events of the turn may still point to it.
  void bury(std::shared_ptr<void> corpse) { graveyard_.push_back(std::move(corpse)); }

  TimerWheel& timers() { return timers_; }
  int64_t now_ms() const { return now_ms_; }  // steady, of this turn
  // A buffer that anybody on this thread may use within one call.
  std::vector<char>& scratch() { return scratch_; }

 private:
  void run_posted() EXCLUDES(mutex_);
  void end_turn();

  int epoll_fd_ = -1;
  int wake_fd_ = -1;
  std::atomic<bool> stopping_{false};
  int64_t now_ms_ = 0;
  TimerWheel timers_;
  std::vector<std::shared_ptr<void>> graveyard_;
  std::vector<Task> at_end_;
  std::vector<char> scratch_;
  Mutex mutex_;
  std::vector<Task> posted_ GUARDED_BY(mutex_);
};

}  // namespace postern::net
