#include "core/ingest/checker.h"

#include <utility>

#include "core/base/clock.h"
#include "core/base/log.h"

namespace postern::ingest {
namespace {

constexpr int64_t kCheckWithinMs = 2'000;  // a signature takes microseconds; providers give up after some seconds

}  // namespace

struct Checker::Call : CallPool::Call {
  using CallPool::Call::Call;
  http::Request request;
  std::shared_ptr<const Route> route;  // holds the plugins, however long it takes
  std::shared_ptr<const signature::Scheme> scheme;
  std::vector<std::string> urls;
  std::string owner, remote, request_id;
  int64_t now_ms = 0;
  std::optional<signature::Verdict> verdict;

  // Calls back exactly once; whether anybody still listens, it finds out itself. Must not wait.
  std::function<void()> done;
  Mutex mutex;
  bool given_up GUARDED_BY(mutex) = false;

  void run() override EXCLUDES(mutex) {
    {
      MutexLock lock(mutex);
      if (given_up) return;
    }
    log::Scope scope(request_id, owner);
    signature::Verdict found = scheme->verify({request, now_ms, urls, remote}, nullptr);
    MutexLock lock(mutex);
    if (given_up) return;
    if (found != signature::Verdict::kUnknown) verdict = found;
    done();
  }
  // From now on the loop does not hear of it; it may be gone.
  void give_up() EXCLUDES(mutex) {
    MutexLock lock(mutex);
    given_up = true;
    done = nullptr;
  }
};

struct Checker::Waiting {
  explicit Waiting(std::function<void()> on_late) : deadline(std::move(on_late)) {}
  std::shared_ptr<http::Exchange> exchange;
  std::shared_ptr<Call> call;
  OnVerdict on_verdict;
  net::Timer deadline;
};

Checker::~Checker() { end(); }

void Checker::check(std::shared_ptr<http::Exchange> exchange, std::shared_ptr<const Route> route,
                    const Route::SchemeUse& use, std::vector<std::string> urls, OnVerdict on_verdict) {
  int64_t deadline_ms = loop_.now_ms() + kCheckWithinMs;
  auto call = std::make_shared<Call>(deadline_ms, exchange->request.body().size());
  call->route = route;
  call->scheme = use.scheme;
  call->urls = std::move(urls);
  call->owner = use.owner(route->provider);
  call->remote = exchange->remote;
  call->request_id = exchange->request_id;
  call->now_ms = wall_ms();
  call->request = std::move(exchange->request);

  // The timer's function does not own what owns the timer.
  auto weak = std::make_shared<std::weak_ptr<Waiting>>();
  auto waiting = std::make_shared<Waiting>([this, weak] {
    if (auto late = weak->lock()) on_late(late);
  });
  *weak = waiting;
  waiting->exchange = std::move(exchange);
  waiting->call = call;
  waiting->on_verdict = std::move(on_verdict);
  call->done = [this, weak] {
    loop_.post([this, weak] {
      if (auto ended = weak->lock()) finish(ended, ended->call->verdict);
    });
  };
  waiting_.insert(waiting);
  if (!use.verifying->submit(std::move(call))) return finish(waiting, std::nullopt);
  loop_.timers().arm(waiting->deadline, deadline_ms);
}

void Checker::on_late(const std::shared_ptr<Waiting>& waiting) {
  if (uint64_t suppressed = 0; late_.pass(suppressed)) {
    log::warn("a signature was not checked in time", {{"scheme", waiting->call->scheme->name()}, {"path", waiting->call->route->path}, {"suppressed", suppressed}});
  }
  waiting->call->give_up();
  finish(waiting, std::nullopt);
}

void Checker::finish(const std::shared_ptr<Waiting>& waiting, std::optional<signature::Verdict> verdict) {
  if (waiting_.erase(waiting) == 0) return;  // answered already
  waiting->deadline.cancel();
  if (verdict) waiting->exchange->request = std::move(waiting->call->request);
  waiting->on_verdict(std::move(waiting->exchange), verdict);
}

void Checker::end() {
  while (!waiting_.empty()) {
    std::shared_ptr<Waiting> waiting = *waiting_.begin();
    waiting->call->give_up();
    finish(waiting, std::nullopt);
  }
}

}  // namespace postern::ingest
