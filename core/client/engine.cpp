#include "core/client/engine.h"

#include <algorithm>

#include "core/base/backoff.h"
#include "core/base/clock.h"
#include "core/base/json_text.h"
#include "core/base/log.h"

namespace postern::client {
namespace {

constexpr int64_t kLongestTurnMs = 60'000;
constexpr int64_t kFairShare = 10;  // an attempt with less than a tenth of its usual time says nothing when it times out

Status init_library() {
  static const CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (code != CURLE_OK) return {Code::kUnavailable, "libcurl does not start: " + std::string(curl_easy_strerror(code))};
  // Without it a name server that does not answer would stop every request.
  if ((curl_version_info(CURLVERSION_NOW)->features & CURL_VERSION_ASYNCHDNS) == 0) {
    return {Code::kUnavailable, "this libcurl resolves names without a thread of its own; install Debian's libcurl4"};
  }
  return Status::ok();
}

Outcome ended(Outcome::Kind kind, uint32_t attempts, std::string error) {
  Outcome outcome;
  outcome.kind = kind;
  outcome.attempts = attempts;
  outcome.error = std::move(error);
  return outcome;
}

// Whether how an attempt ended says something about the upstream, so that its breaker shall hear of it. Not when we had no time to wait for
// it, nor when somebody outside made the name up that nobody has.
bool tells(const Job& job, const Outcome& outcome, CURLcode code) {
  if (outcome.kind == Outcome::Kind::kTimeout) return job.had_time;
  return !(code == CURLE_COULDNT_RESOLVE_HOST && job.to.guarded && job.lane->upstream().allows_subdomains());
}

std::string where(const Job& job) { return job.request.method + " " + job.to.url.shown() + ": "; }

}  // namespace

Engine::~Engine() {
  jobs_.clear();
  if (multi_ != nullptr) curl_multi_cleanup(multi_);
  curl_slist_free_all(pins_);
}

Status Engine::open(const std::vector<std::string>& pins) {
  if (Status s = init_library(); !s) return s;
  multi_ = curl_multi_init();
  bool set = multi_ != nullptr && curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, kMaxPooled) == CURLM_OK;
  for (const std::string& pin : pins) {
    curl_slist* longer = curl_slist_append(pins_, pin.c_str());
    set = set && longer != nullptr;
    if (longer != nullptr) pins_ = longer;
  }
  return set ? Status::ok() : Status(Code::kUnavailable, "libcurl refuses to be set up");
}

void Engine::wake() { curl_multi_wakeup(multi_); }

void Engine::add(std::unique_ptr<Job> job) {
  Job& added = *job;
  jobs_[added.id] = std::move(job);
  added.deadline_ms = std::min(added.deadline_ms, end_by_ms_);
  queue(added);
}

void Engine::cancel(uint64_t id) {
  auto found = jobs_.find(id);
  if (found == jobs_.end()) return;
  Job& job = *found->second;
  Outcome outcome = ended(Outcome::Kind::kCancelled, job.attempts, where(job) + "given up");
  if (job.state == Job::State::kOut) take_back(job, outcome, false);
  end(job, std::move(outcome));
}

void Engine::cancel_all() {
  while (!jobs_.empty()) cancel(jobs_.begin()->first);
}

void Engine::end_by(int64_t at_ms) {
  end_by_ms_ = std::min(end_by_ms_, at_ms);
  for (auto& [id, job] : jobs_) {
    job->deadline_ms = std::min(job->deadline_ms, end_by_ms_);
    arm(*job, std::min(job->timer_ms, job->deadline_ms));
  }
}

void Engine::arm(Job& job, int64_t at_ms) {
  timers_.erase({job.timer_ms, job.id});
  job.timer_ms = at_ms;
  timers_.emplace(at_ms, job.id);
}

void Engine::queue(Job& job) {
  job.state = Job::State::kQueued;
  auto& queue = queues_[job.lane.get()];
  job.attempts == 0 ? queue.push_back(&job) : queue.push_front(&job);  // one that has begun is older than those that have not
  arm(job, job.deadline_ms);
}

void Engine::turn() {
  fire_timers();
  int running = 0;
  curl_multi_perform(multi_, &running);
  collect();
  start_queued();
  int64_t until = timers_.empty() ? kLongestTurnMs : timers_.begin()->first - steady_ms();
  curl_multi_poll(multi_, nullptr, 0, static_cast<int>(std::clamp<int64_t>(until, 0, kLongestTurnMs)), nullptr);
}

void Engine::fire_timers() {
  int64_t now = steady_ms();
  while (!timers_.empty() && timers_.begin()->first <= now) {
    Job& job = *jobs_.at(timers_.begin()->second);
    if (job.state == Job::State::kPaused && now < job.deadline_ms) {
      queue(job);
      continue;
    }
    if (job.state == Job::State::kPaused) {  // end_by() came before its next attempt
      Outcome last = std::move(*job.last);
      end(job, std::move(last));
      continue;
    }
    bool out = job.state == Job::State::kOut;
    Outcome outcome = ended(Outcome::Kind::kTimeout, job.attempts,
                            where(job) + (out ? "no answer before its deadline" : "there was no room for it before its deadline"));
    if (out) take_back(job, outcome, job.had_time);
    bool knows_more = !out && job.last;
    end(job, knows_more ? Outcome(*job.last) : std::move(outcome));
  }
}

// One of each upstream in turn, so that a slow one does not take all the room.
void Engine::start_queued() {
  bool started = true;
  while (started && in_flight_ < kMaxInFlight) {
    started = false;
    std::vector<Lane*> lanes;
    for (auto& [lane, queue] : queues_) lanes.push_back(lane);
    for (Lane* lane : lanes) {
      auto found = queues_.find(lane);
      if (found == queues_.end() || in_flight_ >= kMaxInFlight || !lane->has_room()) continue;
      start(*found->second.front());
      started = true;
    }
  }
}

void Engine::start(Job& job) {
  auto& queue = queues_[job.lane.get()];
  queue.erase(std::find(queue.begin(), queue.end(), &job));
  if (queue.empty()) queues_.erase(job.lane.get());
  job.state = Job::State::kPaused;  // in no queue

  Lane::Start allowed = job.lane->start(job.attempts > 0);
  if (!allowed.allowed) {
    if (job.last) return end(job, Outcome(*job.last));
    Outcome open = ended(Outcome::Kind::kBreakerOpen, 0,
                         where(job) + "not sent, since the upstream '" + job.lane->upstream().name + "' fails every time");
    open.retry_after_ms = allowed.wait_ms;
    return end(job, std::move(open));
  }
  job.trial = allowed.trial;
  job.began_us = steady_us();
  ++job.attempts;
  const Upstream& upstream = job.lane->upstream();
  int64_t limit = std::min(upstream.attempt_ms, job.deadline_ms - steady_ms());
  job.had_time = limit >= std::min(upstream.attempt_ms, upstream.deadline_ms) / kFairShare;
  auto transfer = Transfer::make(upstream, job.request, job.to, limit, pins_, &job);
  if (!transfer || curl_multi_add_handle(multi_, (*transfer)->handle()) != CURLM_OK) {
    Outcome failed = ended(Outcome::Kind::kCancelled, job.attempts - 1, where(job) + "libcurl refuses the request");
    job.lane->on_attempt(failed, job.trial, false, 0);
    return end(job, std::move(failed));
  }
  job.transfer = std::move(*transfer);
  job.state = Job::State::kOut;
  ++in_flight_;
  arm(job, job.deadline_ms);
}

void Engine::collect() {
  int left = 0;
  while (CURLMsg* message = curl_multi_info_read(multi_, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    CURLcode code = message->data.result;  // the message goes with its handle
    char* tag = nullptr;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &tag);
    on_attempt_end(*reinterpret_cast<Job*>(tag), code);
  }
}

void Engine::on_attempt_end(Job& job, CURLcode code) {
  Outcome outcome = job.transfer->finish(code);
  outcome.attempts = job.attempts;
  std::optional<Url> next = next_hop(job, outcome);
  take_back(job, outcome, !next && tells(job, outcome, code));  // what a redirect leads to has the say
  next ? follow(job, outcome.status, std::move(*next)) : pause_or_end(job, std::move(outcome));
}

// The attempt is over, by itself or because nobody wants it any more.
void Engine::take_back(Job& job, const Outcome& outcome, bool tells) {
  curl_multi_remove_handle(multi_, job.transfer->handle());
  job.transfer.reset();
  job.state = Job::State::kPaused;
  --in_flight_;
  job.lane->on_attempt(outcome, job.trial, tells, steady_us() - job.began_us);
}

// A redirect within the same origin, where the upstream allows any: so credentials go nowhere else, and the guard that was right for the
// first request is for this one. What is not followed is the answer.
std::optional<Url> Engine::next_hop(const Job& job, Outcome& outcome) {
  const std::string* location = outcome.header("location");
  if (outcome.status < 300 || outcome.status >= 400 || location == nullptr) return std::nullopt;
  auto next = resolve(job.to.url, *location);
  bool same = next && next->same_origin(job.to.url);
  bool safe = job.request.method == "GET" || job.request.method == "HEAD";
  bool repeatable = outcome.status == 307 || outcome.status == 308 || outcome.status == 303 || (safe && outcome.status < 303);
  if (same && repeatable && job.redirects < job.lane->upstream().max_redirects) return std::move(*next);
  std::string target;
  if (next) append_printable(next->scheme + "://" + next->host, target);
  outcome.error += next ? ", which leads to " + target + " and is not followed" : ", which leads to no URL";
  return std::nullopt;
}

void Engine::follow(Job& job, int status, Url next) {
  bool safe = job.request.method == "GET" || job.request.method == "HEAD";
  if (status == 303 && !safe) {
    job.request.method = "GET";
    job.request.body.clear();
  }
  ++job.redirects;
  --job.attempts;  // the same one goes on
  job.to.url = std::move(next);
  queue(job);
}

void Engine::pause_or_end(Job& job, Outcome outcome) {
  const Upstream& upstream = job.lane->upstream();
  if (outcome.verdict() != Outcome::Verdict::kRetry || job.attempts >= upstream.attempts) return end(job, std::move(outcome));
  int64_t wait = std::max(backoff_ms(upstream.backoff, job.attempts, random_share()), outcome.retry_after_ms);
  int64_t at = steady_ms() + wait;
  if (at >= job.deadline_ms) return end(job, std::move(outcome));  // it would not fit: this is the answer
  log::debug("a request is tried again", {{"upstream", upstream.name}, {"error", outcome.error}, {"in_ms", wait}});
  job.last = std::move(outcome);
  arm(job, at);
}

void Engine::end(Job& job, Outcome outcome) {
  if (job.state == Job::State::kQueued) {
    auto& queue = queues_[job.lane.get()];
    queue.erase(std::find(queue.begin(), queue.end(), &job));
    if (queue.empty()) queues_.erase(job.lane.get());
  }
  timers_.erase({job.timer_ms, job.id});
  auto owned = std::move(jobs_.at(job.id));
  jobs_.erase(owned->id);
  if (!outcome.error.empty()) log::debug("a request failed", {{"upstream", owned->lane->upstream().name}, {"error", outcome.error}});
  owned->lane->on_end(outcome.kind);
  owned->on_end(std::move(outcome));
}

}  // namespace postern::client
