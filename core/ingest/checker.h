// Checker: has a plugin's scheme verify requests, off the loop. The request travels to a thread of the plugin and back; if that takes too
// long the exchange is answered without it, and the thread keeps what it has. One for each loop.
// Thread-safety: the loop's thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "core/base/log.h"
#include "core/http/connection.h"
#include "core/ingest/route.h"
#include "core/net/event_loop.h"

namespace postern::ingest {

class Checker {
 public:
  // Nothing: it could not be told, or not in time; the sender should try again.
  using OnVerdict = std::function<void(std::shared_ptr<http::Exchange>, std::optional<signature::Verdict>)>;

  explicit Checker(net::EventLoop& loop) : loop_(loop) {}
  ~Checker();

  // `on_verdict` comes on the loop, once; the request is in the exchange again when there is a verdict.
  // `use`: one of the route's, with functions.
  void check(std::shared_ptr<http::Exchange> exchange, std::shared_ptr<const Route> route, const Route::SchemeUse& use,
             std::vector<std::string> urls, OnVerdict on_verdict);
  // The loop is about to end: everybody is told that nothing could be told.
  void end();

 private:
  struct Call;     // on the plugin's thread
  struct Waiting;  // on the loop

  void on_late(const std::shared_ptr<Waiting>& waiting);
  void finish(const std::shared_ptr<Waiting>& waiting, std::optional<signature::Verdict> verdict);

  net::EventLoop& loop_;
  std::unordered_set<std::shared_ptr<Waiting>> waiting_;
  log::Throttle late_{20};
};

}  // namespace postern::ingest
