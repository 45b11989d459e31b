// Reloader: brings the next configuration to work when asked to, on one thread, and those before it to their end, on another, when nothing
// is under way in them any more. What hangs in a plugin there holds up neither the gateway's work nor its end.
// Thread-safety: start() and stop() on the control thread; the others on any.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "core/base/mutex.h"
#include "core/base/status.h"
#include "core/gateway/generations.h"

namespace postern::gateway {

class Reloader {
 public:
  using Reload = std::function<Status()>;
  // To its end. Null: some time has passed in which nobody ended.
  using Retire = std::function<void(std::unique_ptr<Generation>)>;

  Reloader(Generations& generations, Reload reload, Retire retire);
  Reloader(const Reloader&) = delete;
  Reloader& operator=(const Reloader&) = delete;

  void start();
  // No further one begins, and the one at hand should come to its end: it sees stopping().
  void give_up();
  bool stopping() const;
  // Waits for both threads. False when one is inside a plugin and does not come back within `within_ms`: nothing may be destroyed then.
  bool stop(int64_t within_ms);

  // The number of the reload that will come: the next one, however often it is asked for before that begins.
  uint64_t ask();
  struct Last {
    uint64_t number = 0;    // that has ended; 0: there was none
    uint64_t under_way = 0;  // its number; 0: none
    int64_t at = 0;         // Unix milliseconds
    std::string error;      // why it was refused; empty: it was not
  };
  Last last() const;

 private:
  struct Shared;  // outlives this where a thread hangs
  static void reload_when_asked(Shared& shared, const Reload& reload);
  static void retire_what_ends(Shared& shared, Generations& generations, const Retire& retire);

  Generations& generations_;
  const Reload reload_;
  const Retire retire_;
  const std::shared_ptr<Shared> shared_;
};

}  // namespace postern::gateway
