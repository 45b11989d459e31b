#include "core/gateway/service_manager.h"

#include <systemd/sd-daemon.h>

#include <cstring>
#include <utility>

#include "core/base/log.h"

namespace postern::gateway::service_manager {

Result<std::vector<std::unique_ptr<net::Listener>>> inherited_listeners() {
  constexpr int kForgetThem = 1;  // children must not take them for theirs
  std::vector<std::unique_ptr<net::Listener>> listeners;
  int count = ::sd_listen_fds(kForgetThem);
  if (count < 0) return Status(Code::kInvalid, std::string("LISTEN_FDS of the service manager: ") + std::strerror(-count));
  for (int fd = SD_LISTEN_FDS_START; fd < SD_LISTEN_FDS_START + count; ++fd) {
    auto listener = net::Listener::adopt(fd);
    if (!listener) return listener.status().with_context("a socket of the service manager");
    listeners.push_back(std::move(*listener));
  }
  return listeners;
}

void ready(const std::string& status) { ::sd_notifyf(0, "READY=1\nSTATUS=%s", status.c_str()); }

void stopping() { ::sd_notify(0, "STOPPING=1\nSTATUS=what is at hand is finished"); }

void Watchdog::start(IsWell is_well) {
  uint64_t limit_us = 0;
  if (::sd_watchdog_enabled(0, &limit_us) <= 0) return;
  is_well_ = std::move(is_well);
  // A third: one check that takes its whole time, and the next one, still come within the limit.
  thread_ = std::thread([this, every = std::chrono::microseconds(limit_us / 3)] { run(every); });
}

void Watchdog::stop() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    stop_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void Watchdog::run(std::chrono::microseconds every) {
  MutexLock lock(mutex_);
  while (!stopping_) {
    mutex_.unlock();
    bool is_well = is_well_(std::chrono::duration_cast<std::chrono::milliseconds>(every));
    if (is_well) ::sd_notify(0, "WATCHDOG=1");
    if (!is_well) log::error("a loop or the store does not come round: the watchdog is not fed, and the service manager may restart the gateway");
    mutex_.lock();
    // One that took its whole time must not be followed by a pause as long: the next one has to end within the limit.
    if (!stopping_) stop_.wait_for(mutex_, is_well ? every : every / 10);
  }
}

}  // namespace postern::gateway::service_manager
