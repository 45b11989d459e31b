#include "core/plugin/start_watch.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/thread_name.h"

namespace postern::plugin {
namespace {

// The call that this thread is in.
thread_local const char* plugin_inside = nullptr;
thread_local const char* function_inside = nullptr;

// exit() runs this on the thread that called it. What the plugin has left half done cannot be gone on with.
void tell_who_exits() {
  if (plugin_inside == nullptr) return;
  std::string text = std::string("postern: plugin ") + plugin_inside + " called exit() in " + function_inside +
                     ": a plugin must return an error instead; remove it from the configuration, or mend it\n";
  [[maybe_unused]] ssize_t n = ::write(STDERR_FILENO, text.data(), text.size());
  ::_exit(StartWatch::kExitStatus);
}

}  // namespace

StartWatch::StartWatch(const std::string& plugin, int64_t patience_ms) : plugin_(plugin), patience_ms_(patience_ms) {
  // As late as can be, so that it runs before what others have registered.
  static const bool registered = std::atexit(tell_who_exits) == 0 && std::at_quick_exit(tell_who_exits) == 0;
  (void)registered;
  plugin_inside = plugin_.c_str();
  function_inside = "create";
  thread_ = std::thread([this] { run(); });
}

StartWatch::~StartWatch() {
  plugin_inside = nullptr;
  {
    MutexLock lock(mutex_);
    over_ = true;
    changed_.notify_all();
  }
  thread_.join();
}

void StartWatch::calls(const char* function) {
  MutexLock lock(mutex_);
  function_ = function;
  function_inside = function;
}

void StartWatch::run() {
  name_thread("start-watch");
  int64_t begin = steady_ms();
  MutexLock lock(mutex_);
  for (int64_t next = begin + patience_ms_; !over_;) {
    int64_t now = steady_ms();
    if (now < next) {
      changed_.wait_for(mutex_, std::chrono::milliseconds(next - now));
      continue;
    }
    log::error("a plugin has not come back from its start; nothing goes on until it does",
               {{"plugin", plugin_}, {"function", function_}, {"waited_ms", now - begin}});
    next = now + std::max<int64_t>(patience_ms_, now - begin);  // after 5 s, 10, 20, 40, …
  }
}

}  // namespace postern::plugin
