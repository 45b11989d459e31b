// Engine: the requests that were taken on, from their first attempt to their end: who may start, when the next attempt is, whose time is
// up. libcurl's multi interface moves the bytes.
// Thread-safety: the client's thread; wake() any.
#pragma once

#include <curl/curl.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/base/status.h"
#include "core/client/lane.h"
#include "core/client/transfer.h"
#include "core/client/url.h"

namespace postern::client {

struct Job {
  enum class State { kQueued, kOut, kPaused };  // waits for room; an attempt is out; waits for the next attempt

  uint64_t id = 0;
  std::shared_ptr<Lane> lane;
  Request request;
  Destination to;
  std::function<void(Outcome)> on_end;  // on the client's thread
  int64_t deadline_ms = 0;  // steady

  State state = State::kQueued;
  int64_t timer_ms = 0;  // when it must be looked at
  bool trial = false;
  bool had_time = true;  // the attempt at hand: enough of it to say something about the upstream when it does not answer
  int64_t began_us = 0;  // the attempt that is out; steady
  uint32_t attempts = 0, redirects = 0;
  std::optional<Outcome> last;  // of the attempt before
  std::unique_ptr<Transfer> transfer;
};

class Engine {
 public:
  // In flight over all upstreams: each is a file descriptor and its buffers.
  static constexpr size_t kMaxInFlight = 128;
  static constexpr long kMaxPooled = 64;  // idle connections

  Engine() = default;
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // `pins`: "host:port:address", names whose address is given. kUnavailable when libcurl is not as it must be.
  Status open(const std::vector<std::string>& pins);
  void wake();

  void add(std::unique_ptr<Job> job);
  void cancel(uint64_t id);
  void cancel_all();
  // No request lasts longer than until then (steady milliseconds), nor do those to come.
  void end_by(int64_t at_ms);
  // Does what there is to do, and waits until there is more, or for wake().
  void turn();

 private:
  void arm(Job& job, int64_t at_ms);
  void fire_timers();
  void start_queued();
  void start(Job& job);
  void collect();
  void on_attempt_end(Job& job, CURLcode code);
  void take_back(Job& job, const Outcome& outcome, bool tells);
  static std::optional<Url> next_hop(const Job& job, Outcome& outcome);
  void follow(Job& job, int status, Url next);
  void pause_or_end(Job& job, Outcome outcome);
  void queue(Job& job);
  void end(Job& job, Outcome outcome);

  CURLM* multi_ = nullptr;
  curl_slist* pins_ = nullptr;
  std::unordered_map<uint64_t, std::unique_ptr<Job>> jobs_;
  std::unordered_map<Lane*, std::deque<Job*>> queues_;  // in state kQueued; the oldest first. Only lanes that have some
  std::set<std::pair<int64_t, uint64_t>> timers_;       // (when, job); each job has one
  size_t in_flight_ = 0;
  int64_t end_by_ms_ = INT64_MAX;
};

}  // namespace postern::client
