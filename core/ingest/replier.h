// Replier: has the plugin compose the answers of reply routes, off the loop. One for each loop.
//
// An exchange is answered once: by the plugin's answer, 500 when it failed, 504 when it was too slow, 503 when no thread was free for it.
// A WebSocket route's exchange is given away behind a 101 where the plugin accepts.
// Where the request is an event too, a good answer waits until that is durable, and is 503 if it cannot be made so.
// Thread-safety: the loop's thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "core/base/log.h"
#include "core/http/connection.h"
#include "core/ingest/meter.h"
#include "core/ingest/reply.h"
#include "core/ingest/route.h"
#include "core/net/event_loop.h"

namespace postern::ingest {

class Replier {
 public:
  // One exchange that waits for its answer. Touched by the loop alone.
  struct Composing;

  Replier(net::EventLoop& loop, Meter& meter) : loop_(loop), meter_(meter) {}
  ~Replier();

  // `recording`: the request is about to go into the store; call on_recorded() with what is returned here. Null: there was no room, and the
  // exchange is answered already. Takes the request out of the exchange.
  std::shared_ptr<Composing> compose(std::shared_ptr<http::Exchange> exchange, std::shared_ptr<const Route> route,
                                     http::PathParameters path, std::vector<std::string> urls, bool recording);
  void on_recorded(const std::shared_ptr<Composing>& composing, bool durable);

  // The loop is about to end: everybody is answered 503, and what plugins still send is too late.
  void end();

 private:
  struct Call;

  void on_timer(const std::shared_ptr<Composing>& composing);
  void on_end(const std::shared_ptr<Composing>& composing, Reply::End end);
  void finish_unstored(const std::shared_ptr<Composing>& composing, std::string_view why);
  void finish(const std::shared_ptr<Composing>& composing, http::Response response);
  std::shared_ptr<http::Exchange> end(const std::shared_ptr<Composing>& composing);
  void note_failure(const Composing& composing, Refusal reason, std::string_view what, std::string_view why);

  net::EventLoop& loop_;
  Meter& meter_;
  std::unordered_set<std::shared_ptr<Composing>> composing_;
  log::Throttle failures_{20};
};

}  // namespace postern::ingest
