#include "tests/bench/voice/loop.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

namespace postern::voice_load {
namespace {

constexpr int64_t kTickNs = 250'000;
constexpr int64_t kStopCheckNs = 20'000'000;

}  // namespace

Loop::Loop() : epoll_(epoll_create1(EPOLL_CLOEXEC)) {
  if (epoll_ < 0) throw std::system_error(errno, std::generic_category(), "epoll_create1");
}

Loop::~Loop() { close(epoll_); }

void Loop::watch(int fd, Handler& handler, uint32_t events, bool anew) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = &handler;
  if (epoll_ctl(epoll_, anew ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &event) == 0) return;
  throw std::system_error(errno, std::generic_category(), "epoll_ctl");
}

void Loop::run(const std::atomic<bool>& stop) {
  while (!stop) {
    run_due();
    wait();
  }
}

void Loop::run_due() {
  int64_t now = steady_ns();
  if (now < last_due_ns_ + kTickNs) return;
  last_due_ns_ = now;
  const bool measuring = measuring_ != nullptr && *measuring_;
  while (!times_.empty() && times_.top().ns <= now) {
    const Time time = times_.top();
    times_.pop();
    now = steady_ns();
    if (measuring) lateness_.record(static_cast<uint64_t>(now - time.ns) / 1000);
    const int64_t next = time.handler->due(now);
    if (next != 0) times_.push({next, time.handler});
    if (now > last_due_ns_ + 8 * kTickNs) break;  // behind: what has come is read first
  }
}

void Loop::wait() {
  const int64_t now = steady_ns();
  int64_t until = times_.empty() ? now + kStopCheckNs : std::max(times_.top().ns, last_due_ns_ + kTickNs);
  until = std::clamp(until, now, now + kStopCheckNs);
  timespec timeout{0, static_cast<long>(until - now)};
  epoll_event events[128];
  const int n = epoll_pwait2(epoll_, events, std::size(events), &timeout, nullptr);
  for (int i = 0; i < n; ++i) static_cast<Handler*>(events[i].data.ptr)->ready(events[i].events);
}

}  // namespace postern::voice_load
