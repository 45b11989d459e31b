#include "core/net/event_loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "core/base/clock.h"

namespace postern::net {

EventLoop::EventLoop() : scratch_(64 * 1024) {}

EventLoop::~EventLoop() {
  if (wake_fd_ >= 0) ::close(wake_fd_);
  if (epoll_fd_ >= 0) ::close(epoll_fd_);
}

Status EventLoop::open() {
  epoll_fd_ = ::epoll_create1(EPOLL_CLOEXEC);
  wake_fd_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (epoll_fd_ < 0 || wake_fd_ < 0) return {Code::kIo, std::string("event loop: ") + std::strerror(errno)};
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = nullptr;  // no watcher: the wake-up
  if (::epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, wake_fd_, &event) != 0) {
    return {Code::kIo, std::string("event loop: ") + std::strerror(errno)};
  }
  now_ms_ = steady_ms();
  return Status::ok();
}

void EventLoop::run() {
  std::array<epoll_event, 512> events;
  while (!stopping_.load(std::memory_order_acquire)) {
    int timeout = timers_.empty() ? -1 : static_cast<int>(TimerWheel::kTickMs);
    int count = ::epoll_wait(epoll_fd_, events.data(), static_cast<int>(events.size()), timeout);
    now_ms_ = steady_ms();
    bool woken = false;
    for (int i = 0; i < count; ++i) {
      auto* watcher = static_cast<Watcher*>(events[static_cast<size_t>(i)].data.ptr);
      if (watcher == nullptr) {
        woken = true;
      } else {
        watcher->on_ready(events[static_cast<size_t>(i)].events);
      }
    }
    if (woken) {
      uint64_t ignored;
      [[maybe_unused]] ssize_t n = ::read(wake_fd_, &ignored, sizeof ignored);
      run_posted();
    }
    timers_.advance(now_ms_);
    end_turn();
  }
  run_posted();
  end_turn();
}

void EventLoop::end_turn() {
  std::vector<Task> tasks;
  while (!at_end_.empty()) {
    tasks.swap(at_end_);
    for (Task& task : tasks) task();
    tasks.clear();
  }
  graveyard_.clear();
}

void EventLoop::run_posted() {
  std::vector<Task> tasks;
  {
    MutexLock lock(mutex_);
    tasks.swap(posted_);
  }
  for (Task& task : tasks) task();
}

void EventLoop::stop() {
  post([this] { stopping_.store(true, std::memory_order_release); });
}

void EventLoop::post(Task task) {
  bool was_empty;
  {
    MutexLock lock(mutex_);
    was_empty = posted_.empty();
    posted_.push_back(std::move(task));
  }
  if (!was_empty) return;  // somebody has already rung
  uint64_t one = 1;
  [[maybe_unused]] ssize_t n = ::write(wake_fd_, &one, sizeof one);
}

Status EventLoop::watch(int fd, uint32_t epoll_events, Watcher& watcher) {
  epoll_event event{};
  event.events = epoll_events;
  event.data.ptr = &watcher;
  if (::epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &event) != 0) {
    return {Code::kIo, std::string("epoll: ") + std::strerror(errno)};
  }
  return Status::ok();
}

void EventLoop::rewatch(int fd, uint32_t epoll_events, Watcher& watcher) {
  epoll_event event{};
  event.events = epoll_events;
  event.data.ptr = &watcher;
  ::epoll_ctl(epoll_fd_, EPOLL_CTL_MOD, fd, &event);
}

void EventLoop::unwatch(int fd) { ::epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, fd, nullptr); }

}  // namespace postern::net
