#include "core/gateway/service_manager.h"

#include <dlfcn.h>
#include <systemd/sd-daemon.h>

#include <cstdlib>
#include <cstring>
#include <ctime>
#include <utility>

#include "core/base/log.h"
#include "core/base/thread_name.h"

namespace postern::gateway::service_manager {
namespace {

// Loaded only where a service manager is at work: with what it is linked with itself, it takes nearly a megabyte.
template <typename Function>
Function* systemd_function(const char* name) {
  static void* const library = ::dlopen("libsystemd.so.0", RTLD_NOW | RTLD_LOCAL);
  void* found = library == nullptr ? nullptr : ::dlsym(library, name);
  if (found == nullptr)
    log::error("a service manager is at work, but libsystemd cannot be used: install libsystemd0", {{"function", name}});
  return reinterpret_cast<Function*>(found);
}

void notify(const std::string& state) {
  if (std::getenv("NOTIFY_SOCKET") == nullptr) return;
  static auto* const sd_notify = systemd_function<int(int, const char*)>("sd_notify");
  if (sd_notify != nullptr) sd_notify(0, state.c_str());
}

}  // namespace

Result<std::vector<std::unique_ptr<net::Listener>>> inherited_listeners() {
  constexpr int kForgetThem = 1;  // children must not take them for theirs
  std::vector<std::unique_ptr<net::Listener>> listeners;
  if (std::getenv("LISTEN_FDS") == nullptr) return listeners;
  auto* const sd_listen_fds = systemd_function<int(int)>("sd_listen_fds");
  if (sd_listen_fds == nullptr)
    return Status(Code::kUnavailable, "libsystemd is needed for the sockets of the service manager: install libsystemd0");
  int count = sd_listen_fds(kForgetThem);
  if (count < 0) return Status(Code::kInvalid, std::string("LISTEN_FDS of the service manager: ") + std::strerror(-count));
  for (int fd = SD_LISTEN_FDS_START; fd < SD_LISTEN_FDS_START + count; ++fd) {
    auto listener = net::Listener::adopt(fd);
    if (!listener) return listener.status().with_context("a socket of the service manager");
    listeners.push_back(std::move(*listener));
  }
  return listeners;
}

void ready(const std::string& status) { notify("READY=1\nSTATUS=" + status); }

// MONOTONIC_USEC= is for units of Type=notify-reload.
void reloading() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  constexpr uint64_t kUsPerSecond = 1'000'000, kNsPerUs = 1000;
  uint64_t us = static_cast<uint64_t>(now.tv_sec) * kUsPerSecond + static_cast<uint64_t>(now.tv_nsec) / kNsPerUs;
  notify("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(us));
}

void stopping() { notify("STOPPING=1\nSTATUS=what is at hand is finished"); }

void Watchdog::start(IsWell is_well) {
  uint64_t limit_us = 0;
  if (std::getenv("WATCHDOG_USEC") == nullptr) return;
  auto* const sd_watchdog_enabled = systemd_function<int(int, uint64_t*)>("sd_watchdog_enabled");
  if (sd_watchdog_enabled == nullptr || sd_watchdog_enabled(0, &limit_us) <= 0) return;
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
  name_thread("watchdog");
  MutexLock lock(mutex_);
  while (!stopping_) {
    mutex_.unlock();
    bool is_well = is_well_(std::chrono::duration_cast<std::chrono::milliseconds>(every));
    if (is_well) notify("WATCHDOG=1");
    if (!is_well)
      log::error("a loop or the store does not come round: the watchdog is not fed, and the service manager may restart the gateway");
    mutex_.lock();
    // One that took its whole time must not be followed by a pause as long: the next one has to end within the limit.
    if (!stopping_) stop_.wait_for(mutex_, is_well ? every : every / 10);
  }
}

}  // namespace postern::gateway::service_manager
