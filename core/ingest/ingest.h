// Ingest: from a routed request to a durable event and its acknowledgement. One for each loop.
//
//   on_head     route, admit: refuse before the body is read
//   on_request  verify (a plugin's own scheme on a thread of the plugin), identify, hand to the store
//   committed   acknowledge, or wait for the handler's result where the route says so
// A reply route's request goes to the plugin instead, or to the store as well: see replier.h.
// Thread-safety: the loop's thread; on_committed() comes from the committer and goes over to the loop.
#pragma once

#include <functional>
#include <memory>
#include <unordered_map>

#include "core/admission/public_urls.h"
#include "core/base/log.h"
#include "core/http/connection.h"
#include "core/ingest/event.h"
#include "core/ingest/identify.h"
#include "core/ingest/checker.h"
#include "core/ingest/meter.h"
#include "core/ingest/replier.h"
#include "core/ingest/route.h"
#include "core/net/event_loop.h"

namespace postern::ingest {

class Ingest final : public CommitObserver {
 public:
  // Of one generation of the configuration. Whatever request is under way holds those with which it began, and the plugins in them.
  struct Tables {
    const RouteTable& routes;
    const TargetTable& targets;
    int64_t dedupe_window_ms;
    const admission::UrlSource& url_source;
  };
  struct Parts {
    std::shared_ptr<const Tables> tables;
    EventSink& sink;
    ResultBoard& results;
  };

  Ingest(net::EventLoop& loop, Parts parts);
  ~Ingest() override;

  http::Service::Admission on_head(http::Exchange& exchange, const http::Request& head);
  void on_request(std::shared_ptr<http::Exchange> exchange);
  // From the next request on.
  void adopt(std::shared_ptr<const Tables> tables);
  // From now on new events are answered 503.
  void refuse_new_events() { draining_ = true; }
  // The same, and nobody waits for a result any more: those events are safe.
  void start_draining();
  // The loop is about to end: whoever still waits for a plugin is answered without it.
  void end_calls();

  void on_committed(std::vector<std::unique_ptr<PendingEvent>> events) override;

  // Any thread.
  Meter& meter() { return meter_; }

 private:
  struct Routed;    // an exchange's context
  struct Pending;   // an event on its way into the store
  struct Waiting;   // an answer that waits for the handler

  static std::vector<std::string> urls_of(const http::Exchange& exchange);
  void on_verdict(std::shared_ptr<http::Exchange> exchange, const signature::Scheme* scheme, signature::Verdict verdict);
  void on_verified(std::shared_ptr<http::Exchange> exchange, const signature::Scheme* scheme);
  std::unique_ptr<Pending> make_pending(NewEvent event, const http::Exchange& exchange);
  void ask_for_session(std::shared_ptr<http::Exchange> exchange);
  void reply(std::shared_ptr<http::Exchange> exchange, NewEvent event);
  void acknowledge(Pending& pending);
  void wait_for_result(std::unique_ptr<Pending> pending);
  void on_result(int64_t event_seq, const std::optional<std::string>& result);
  void note_refusal(const http::Exchange& exchange, int status, Refusal reason, const char* why);

  net::EventLoop& loop_;
  Parts parts_;
  Meter meter_;
  JsonParser parser_;
  Checker checker_;
  Replier replier_;
  std::unordered_map<int64_t, std::unique_ptr<Waiting>> waiting_;
  log::Throttle refusals_{20};
  bool draining_ = false;
};

}  // namespace postern::ingest
