// Client: calls from the gateway to the outside. One thread, libcurl's multi interface behind it, connections pooled.
//
// A request goes to an upstream, whose rules say how often it is tried, how long that may take, how many may be out at once, and, for
// URLs that came from outside, where they may lead. Each request ends once, with an Outcome; a deadline covers all of it.
//   start() → add_upstream(), submit(), call() … → end_within() as the gateway drains → stop()
// Thread-safety: any thread, but start() and stop(): one control thread. call() waits, so never on a loop nor in an OnEnd.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/base/mutex.h"
#include "core/base/status.h"
#include "core/client/engine.h"
#include "core/client/lane.h"
#include "core/client/outcome.h"
#include "core/client/upstream.h"

namespace postern::client {

class Client {
 public:
  using UpstreamId = size_t;
  using RequestId = uint64_t;
  // Called once, on the client's thread: it must neither wait nor throw. It may submit and cancel.
  using OnEnd = std::function<void(Outcome)>;

  struct Options {
    std::vector<std::string> pins;           // "host:port:address": names whose address is given, as in /etc/hosts
    size_t max_request_bytes = 64ull << 20;  // of bodies that wait or are out, over all upstreams
  };
  static constexpr size_t kMaxBody = 16ull << 20;  // of one request, bytes

  Client() = default;
  explicit Client(Options options) : options_(std::move(options)) {}
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // kUnavailable when libcurl cannot do what it must.
  Status start() EXCLUDES(mutex_);
  // Gives up what is out (kCancelled), and ends the thread. Nothing is taken on afterwards.
  void stop() EXCLUDES(mutex_);
  // Whatever is asked from now on has ended in `ms` milliseconds: with an answer, or kTimeout.
  void end_within(int64_t ms) EXCLUDES(mutex_);

  // Before or after start(). kInvalid says what is wrong with it. One of the same plugin and name goes on where that one stands, with
  // rules of its own.
  Result<UpstreamId> add_upstream(Upstream upstream) EXCLUDES(mutex_);
  // Nothing is sent to it any more; what is out ends by itself.
  void remove_upstream(UpstreamId upstream) EXCLUDES(mutex_);

  // On an error nothing was taken on, and `on_end` is not called: kInvalid (the request is wrong), kDenied (the guard forbids where it
  // goes), kLimit (too many wait), kUnavailable (not started), kGone (stopped).
  Result<RequestId> submit(UpstreamId upstream, Request request, OnEnd on_end) EXCLUDES(mutex_);
  // Waits for the end, at most for the deadline. What submit() refuses is an outcome here.
  Outcome call(UpstreamId upstream, Request request) EXCLUDES(mutex_);
  // Gives a request up: it ends with kCancelled, soon. No effect when it has ended.
  void cancel(RequestId request) EXCLUDES(mutex_);

  // In the order in which they were added; each upstream once.
  std::vector<UpstreamStatus> status() const EXCLUDES(mutex_);

 private:
  struct News {
    std::vector<std::unique_ptr<Job>> jobs;
    std::vector<RequestId> cancelled;
    int64_t end_by_ms = INT64_MAX;
  };
  std::shared_ptr<Lane> lane(UpstreamId upstream) const EXCLUDES(mutex_);
  Result<RequestId> hand_over(std::unique_ptr<Job> job) EXCLUDES(mutex_);
  void run() EXCLUDES(mutex_);
  bool take_news() EXCLUDES(mutex_);

  const Options options_;
  Engine engine_;
  std::thread thread_;
  std::atomic<size_t> request_bytes_{0};

  mutable Mutex mutex_;
  std::map<UpstreamId, std::shared_ptr<Lane>> lanes_ GUARDED_BY(mutex_);
  UpstreamId next_upstream_ GUARDED_BY(mutex_) = 0;
  News news_ GUARDED_BY(mutex_);
  RequestId last_id_ GUARDED_BY(mutex_) = 0;
  bool running_ GUARDED_BY(mutex_) = false;
  bool stopping_ GUARDED_BY(mutex_) = false;
};

// What submit() refuses, as an outcome.
Outcome to_outcome(const Status& refused);

}  // namespace postern::client
