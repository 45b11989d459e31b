// What systemd and the gateway tell one another: sd_notify(3), sd_listen_fds(3), sd_watchdog_enabled(3). Without systemd nothing happens.
// Thread-safety: the control thread.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/base/mutex.h"
#include "core/base/status.h"
#include "core/net/listener.h"

namespace postern::gateway::service_manager {

// The listening sockets of postern.socket, once; they are this process's alone then.
Result<std::vector<std::unique_ptr<net::Listener>>> inherited_listeners();

// `status`: what `systemctl status` shows, one line.
void ready(const std::string& status);
void reloading();  // until ready()
void stopping();

// Feeds the watchdog of the unit (WatchdogSec=) as long as the gateway is well; where it is not, systemd restarts it.
class Watchdog {
 public:
  // Whether the gateway is well, told within the time. Called on a thread of the watchdog's own.
  using IsWell = std::function<bool(std::chrono::milliseconds within)>;

  ~Watchdog() { stop(); }
  void start(IsWell is_well);
  void stop() EXCLUDES(mutex_);

 private:
  void run(std::chrono::microseconds every) EXCLUDES(mutex_);

  IsWell is_well_;
  std::thread thread_;
  Mutex mutex_;
  CondVar stop_;
  bool stopping_ GUARDED_BY(mutex_) = false;
};

}  // namespace postern::gateway::service_manager
