#include "core/ingest/replier.h"

#include <algorithm>
#include <utility>

#include "core/ingest/unavailable.h"

namespace postern::ingest {
namespace {

// A caller hears silence meanwhile: better told to come again than kept in a queue for threads that hang.
constexpr int64_t kWaitForThreadMs = 1'000;

}  // namespace

struct Replier::Call : CallPool::Call {
  Call(int64_t deadline_ms, std::shared_ptr<const Route> to, std::shared_ptr<Reply> r)
      : CallPool::Call(deadline_ms, r->request().body.size()), route(std::move(to)), reply(std::move(r)) {}
  void run() override {
    if (reply->begin()) route->reply(reply);
  }
  const std::shared_ptr<const Route> route;  // holds the plugin, however long it takes
  const std::shared_ptr<Reply> reply;
};

struct Replier::Composing {
  explicit Composing(std::function<void()> on_timer) : timer(std::move(on_timer)) {}
  std::shared_ptr<http::Exchange> exchange;
  std::shared_ptr<const Route> route;  // until the plugin has given its answer back
  std::shared_ptr<Reply> reply;
  net::Timer timer;
  int64_t deadline_ms = 0;  // steady
  bool recording = false;   // not durable yet
  std::optional<http::Response> answer;  // composed; waits for the record
};

Replier::~Replier() { end(); }

std::shared_ptr<Replier::Composing> Replier::compose(std::shared_ptr<http::Exchange> exchange, std::shared_ptr<const Route> route,
                                                     http::PathParameters path, std::vector<std::string> urls, bool recording) {
  // Neither the timer nor the reply owns what owns them.
  auto weak = std::make_shared<std::weak_ptr<Composing>>();
  auto composing = std::make_shared<Composing>([this, weak] {
    if (auto late = weak->lock()) on_timer(late);
  });
  *weak = composing;
  Reply::Asked asked{std::move(exchange->request), std::move(path), std::move(urls), exchange->remote, exchange->request_id, route};
  composing->reply = std::make_shared<Reply>(std::move(asked), [this, weak](Reply::End end) {
    // A std::function must be copyable: what ended travels in a shared box.
    auto box = std::make_shared<Reply::End>(std::move(end));
    loop_.post([this, weak, box] {
      if (auto ended = weak->lock()) on_end(ended, std::move(*box));
    });
  });
  composing->exchange = std::move(exchange);
  composing->route = route;
  composing->recording = recording;
  composing->deadline_ms = loop_.now_ms() + route->deadline_ms;
  composing_.insert(composing);
  if (!route->replying->submit(std::make_shared<Call>(composing->deadline_ms, route, composing->reply))) {
    note_failure(*composing, Refusal::kReplyBusy, "no thread is free for a reply",
                 "the plugin's are busy or stuck, or it is in quarantine");
    finish(composing, unavailable("too busy to answer"));
    return nullptr;
  }
  loop_.timers().arm(composing->timer, loop_.now_ms() + std::min(kWaitForThreadMs, route->deadline_ms));
  return composing;
}

void Replier::on_timer(const std::shared_ptr<Composing>& composing) {
  if (!composing->reply->begun()) {
    note_failure(*composing, Refusal::kReplyBusy, "no thread is free for a reply",
                 "the plugin's are busy or stuck, or it is in quarantine");
    return finish(composing, unavailable("too busy to answer"));
  }
  if (loop_.now_ms() < composing->deadline_ms) return loop_.timers().arm(composing->timer, composing->deadline_ms);
  if (composing->answer) return finish_unstored(composing, "the event could not be stored in time");
  note_failure(*composing, Refusal::kReplyLate, "a reply was not composed in time", "deadline");
  finish(composing, http::Response::error(504, "the answer took too long"));
}

void Replier::on_end(const std::shared_ptr<Composing>& composing, Reply::End end) {
  if (!composing->exchange) return;  // answered already
  if (end.taker) {
    if (auto exchange = this->end(composing)) exchange->upgrade(std::move(end.switching), std::move(end.taker));
    return;
  }
  if (!end.response) {
    note_failure(*composing, Refusal::kReplyFailed, "a reply failed", end.why);
    return finish(composing, http::Response::error(500, "the answer could not be composed"));
  }
  if (!composing->recording) return finish(composing, std::move(*end.response));
  composing->answer = std::move(end.response);
}

void Replier::on_recorded(const std::shared_ptr<Composing>& composing, bool durable) {
  composing->recording = false;
  if (!composing->exchange) return;
  if (!durable) return finish_unstored(composing, "the event could not be stored");
  if (composing->answer) finish(composing, std::move(*composing->answer));
}

void Replier::finish_unstored(const std::shared_ptr<Composing>& composing, std::string_view why) {
  meter_.refused(503, Refusal::kNotStored);
  finish(composing, unavailable(why));
}

void Replier::finish(const std::shared_ptr<Composing>& composing, http::Response response) {
  if (auto exchange = end(composing)) exchange->respond(std::move(response));
}

// Null: answered already.
std::shared_ptr<http::Exchange> Replier::end(const std::shared_ptr<Composing>& composing) {
  if (composing_.erase(composing) == 0) return nullptr;
  composing->timer.cancel();
  static_cast<void>(composing->reply->expire());  // whatever the plugin sends from now on is too late
  return std::move(composing->exchange);
}

void Replier::note_failure(const Composing& composing, Refusal reason, std::string_view what, std::string_view why) {
  meter_.refused(reason == Refusal::kReplyBusy ? 503 : reason == Refusal::kReplyLate ? 504 : 500, reason);
  uint64_t suppressed = 0;
  if (!failures_.pass(suppressed)) return;
  log::Scope scope(composing.exchange->request_id, composing.route->provider);
  log::warn(what, {{"path", composing.route->path}, {"why", why}, {"suppressed", suppressed}});
}

void Replier::end() {
  while (!composing_.empty()) {
    std::shared_ptr<Composing> composing = *composing_.begin();
    meter_.refused(503, Refusal::kDraining);
    finish(composing, unavailable("the gateway is about to stop"));
  }
}

}  // namespace postern::ingest
