#include "core/client/client.h"

#include <pthread.h>

#include <algorithm>
#include <csignal>
#include <future>
#include <utility>

#include "core/base/clock.h"
#include "core/base/ids.h"
#include "core/base/digest.h"
#include "core/base/thread_name.h"

namespace postern::client {
namespace {

constexpr size_t kRandomKeyDigits = 32;

// So that an upstream that knows the header does a thing once, although it may be asked twice.
void give_key(Request& request) {
  if (!request.idempotency_key.empty() || (request.method != "POST" && request.method != "PATCH")) return;
  request.idempotency_key = "req_" + sha256_hex(random_bytes(kRandomKeyDigits)).substr(0, kRandomKeyDigits);
}

}  // namespace

Outcome to_outcome(const Status& refused) {
  Outcome outcome;
  switch (refused.code()) {
    case Code::kLimit: outcome.kind = Outcome::Kind::kBusy; break;
    case Code::kGone:
    case Code::kUnavailable: outcome.kind = Outcome::Kind::kCancelled; break;
    default: outcome.kind = Outcome::Kind::kRefused; break;
  }
  outcome.error = refused.message();
  return outcome;
}

Client::~Client() { stop(); }

Status Client::start() {
  if (Status s = engine_.open(options_.pins); !s) return s;
  MutexLock lock(mutex_);
  running_ = true;
  thread_ = std::thread([this] { run(); });
  return Status::ok();
}

void Client::stop() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    if (running_) engine_.wake();
  }
  if (thread_.joinable()) thread_.join();
}

void Client::end_within(int64_t ms) {
  MutexLock lock(mutex_);
  news_.end_by_ms = std::min(news_.end_by_ms, steady_ms() + ms);
  if (running_) engine_.wake();
}

Result<Client::UpstreamId> Client::add_upstream(Upstream upstream) {
  if (Status s = check(upstream); !s) return s;
  MutexLock lock(mutex_);
  auto same = std::find_if(lanes_.begin(), lanes_.end(), [&](const auto& lane) {
    const Upstream& other = lane.second->upstream();
    return other.plugin == upstream.plugin && other.name == upstream.name;
  });
  auto lane = std::make_shared<Lane>(std::move(upstream), same == lanes_.end() ? nullptr : same->second.get());
  lanes_.emplace(next_upstream_, std::move(lane));
  return next_upstream_++;
}

void Client::remove_upstream(UpstreamId upstream) {
  MutexLock lock(mutex_);
  lanes_.erase(upstream);
}

std::shared_ptr<Lane> Client::lane(UpstreamId upstream) const {
  MutexLock lock(mutex_);
  auto found = lanes_.find(upstream);
  return found == lanes_.end() ? nullptr : found->second;
}

Result<Client::RequestId> Client::submit(UpstreamId upstream, Request request, OnEnd on_end) {
  auto lane = this->lane(upstream);
  if (!lane) return Status(Code::kInvalid, "there is no such upstream");
  auto refuse = [&](const Status& why) {
    lane->on_turned_away(to_outcome(why).kind, why.message());
    return why;
  };
  if (Status s = check(request); !s) return refuse(s);
  if (request.body.size() > kMaxBody) return refuse({Code::kInvalid, "a request's body has at most 16 MiB"});
  auto to = destination(lane->upstream(), request.url);
  if (!to) return refuse(to.status());
  size_t bytes = request.body.size();
  if (request_bytes_.fetch_add(bytes) + bytes > options_.max_request_bytes) {
    request_bytes_ -= bytes;
    return refuse({Code::kLimit, "too many bytes wait to be sent; try again later"});
  }
  if (Status s = lane->admit(); !s) {
    request_bytes_ -= bytes;
    return refuse(s);
  }
  give_key(request);
  auto job = std::make_unique<Job>();
  int64_t within = request.deadline_ms > 0 ? request.deadline_ms : lane->upstream().deadline_ms;
  job->deadline_ms = steady_ms() + within;
  job->lane = std::move(lane);
  job->request = std::move(request);
  job->to = std::move(*to);
  job->on_end = [this, bytes, on_end = std::move(on_end)](Outcome outcome) {
    request_bytes_ -= bytes;
    on_end(std::move(outcome));
  };
  return hand_over(std::move(job));
}

Result<Client::RequestId> Client::hand_over(std::unique_ptr<Job> job) {
  std::shared_ptr<Lane> lane = job->lane;
  size_t bytes = job->request.body.size();
  {
    MutexLock lock(mutex_);
    if (running_ && !stopping_) {
      RequestId id = job->id = ++last_id_;
      news_.jobs.push_back(std::move(job));
      engine_.wake();
      return id;
    }
  }
  request_bytes_ -= bytes;
  lane->on_end(Outcome::Kind::kCancelled);
  MutexLock lock(mutex_);
  return stopping_ ? Status(Code::kGone, "the gateway is stopping") : Status(Code::kUnavailable, "the gateway does not run yet");
}

Outcome Client::call(UpstreamId upstream, Request request) {
  auto promise = std::make_shared<std::promise<Outcome>>();
  auto future = promise->get_future();
  auto taken = submit(upstream, std::move(request), [promise](Outcome outcome) { promise->set_value(std::move(outcome)); });
  return taken ? future.get() : to_outcome(taken.status());
}

void Client::cancel(RequestId request) {
  MutexLock lock(mutex_);
  if (!running_ || stopping_) return;
  news_.cancelled.push_back(request);
  engine_.wake();
}

std::vector<UpstreamStatus> Client::status() const {
  std::vector<std::shared_ptr<Lane>> lanes;
  {
    MutexLock lock(mutex_);
    for (const auto& [id, lane] : lanes_) {
      auto before = std::find_if(lanes.begin(), lanes.end(), [&](const auto& other) { return lane->continues(*other); });
      before == lanes.end() ? lanes.push_back(lane) : void(*before = lane);
    }
  }
  std::vector<UpstreamStatus> list;
  for (const auto& lane : lanes) list.push_back(lane->status());
  return list;
}

void Client::run() {
  name_thread("client");
  // Signals are off in libcurl, so a connection that breaks while it is written to would end the process.
  sigset_t pipe;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
  while (take_news()) engine_.turn();
  engine_.cancel_all();
}

// False when the client stops; what was taken on until then is with the engine.
bool Client::take_news() {
  News news;
  bool go_on;
  {
    MutexLock lock(mutex_);
    news = std::exchange(news_, {});
    go_on = !stopping_;
  }
  for (auto& job : news.jobs) engine_.add(std::move(job));
  if (news.end_by_ms != INT64_MAX) engine_.end_by(news.end_by_ms);
  for (RequestId id : news.cancelled) engine_.cancel(id);
  return go_on;
}

}  // namespace postern::client
