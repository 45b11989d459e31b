// StartWatch: stands by a plugin while it is created and inited, which nobody else can get out of. A plugin that calls exit() there
// would end the gateway without a word, one that hangs would keep it from ever starting: both are named.
// Thread-safety: the control thread, one plugin at a time.
#pragma once

#include <string>
#include <thread>

#include "core/base/mutex.h"

namespace postern::plugin {

class StartWatch {
 public:
  static constexpr int kExitStatus = 70;      // EX_SOFTWARE, when a plugin ends the process
  static constexpr int64_t kPatienceMs = 5000;  // then it is said that init has not come back, and every so often again

  // `plugin` outlives it.
  StartWatch(const std::string& plugin, int64_t patience_ms = kPatienceMs);
  ~StartWatch();
  StartWatch(const StartWatch&) = delete;
  StartWatch& operator=(const StartWatch&) = delete;

  // The function of the plugin that is called next: "create", "init".
  void calls(const char* function) EXCLUDES(mutex_);

 private:
  void run() EXCLUDES(mutex_);

  const std::string& plugin_;
  const int64_t patience_ms_;
  Mutex mutex_;
  CondVar changed_;
  const char* function_ GUARDED_BY(mutex_) = "create";
  bool over_ GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace postern::plugin
