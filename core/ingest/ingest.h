// Ingest: from a routed request to a durable event and its acknowledgement. One for each loop.
//
//   on_head     route, admit: refuse before the body is read
//   on_request  verify, identify, hand to the store
//   committed   acknowledge, or wait for the handler's result where the route says so
// Thread-safety: the loop's thread; on_committed() comes from the committer and goes over to the loop.
#pragma once

#include <functional>
#include <memory>
#include <unordered_map>

#include "core/admission/address_list.h"
#include "core/base/log.h"
#include "core/http/connection.h"
#include "core/ingest/event.h"
#include "core/ingest/identify.h"
#include "core/ingest/route.h"
#include "core/net/event_loop.h"

namespace postern::ingest {

class Ingest final : public CommitObserver {
 public:
  struct Parts {
    const RouteTable& routes;
    const TargetTable& targets;
    EventSink& sink;
    ResultBoard& results;
    int64_t dedupe_window_ms;
  };

  Ingest(net::EventLoop& loop, Parts parts);
  ~Ingest() override;

  http::Service::Admission on_head(http::Exchange& exchange, const http::Request& head);
  void on_request(std::shared_ptr<http::Exchange> exchange);
  // From now on new events are answered 503, and nobody waits for a result any more: those events are safe.
  void start_draining();

  void on_committed(std::vector<std::unique_ptr<PendingEvent>> events) override;

 private:
  struct Routed;    // an exchange's context
  struct Pending;   // an event on its way into the store
  struct Waiting;   // an answer that waits for the handler

  void acknowledge(Pending& pending);
  void wait_for_result(std::unique_ptr<Pending> pending);
  void on_result(int64_t event_seq, const std::optional<std::string>& result);
  void note_refusal(const http::Exchange& exchange, int status, const char* why);

  net::EventLoop& loop_;
  Parts parts_;
  JsonParser parser_;
  std::unordered_map<int64_t, std::unique_ptr<Waiting>> waiting_;
  log::Throttle refusals_{20};
  bool draining_ = false;
};

}  // namespace postern::ingest
