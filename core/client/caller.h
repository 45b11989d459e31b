// Caller: what one plugin has of the client: its upstreams, its requests that are out, and threads on which it is told of their ends. A
// plugin that is slow there holds up nobody else.
// Thread-safety: add_upstream(), connect() and close() on the control thread; the others on any.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "core/client/client.h"
#include "core/ingest/call_pool.h"

namespace postern::client {

class Caller {
 public:
  // Requests of send() whose end the plugin has not taken yet.
  static constexpr size_t kMaxOut = 1000;
  static constexpr int64_t kCallbackMs = 30'000;  // a callback that lasts longer no longer counts as a thread

  using OnEnd = std::function<void(const Outcome&)>;

  Caller();
  ~Caller();
  Caller(const Caller&) = delete;
  Caller& operator=(const Caller&) = delete;

  // The number that the plugin knows it by. kInvalid says what is wrong.
  Result<uint32_t> add_upstream(Upstream upstream);
  const std::vector<Upstream>& upstreams() const { return upstreams_; }
  // Before connect(): what the operator wants otherwise. kNotFound, or kInvalid for what it must not be; nothing is changed then.
  Status change_upstream(const std::string& name, const std::function<void(Upstream&)>& change);

  // From now on requests are taken. `client` outlives the plugin.
  Status connect(Client& client, const std::string& plugin);
  // Gives up what is out, and waits at most `within_ms` milliseconds until the plugin has been told of every end. False when it has
  // not: it must not be destroyed then.
  bool close(int64_t within_ms);

  // Waits for the end. kUnavailable before connect(), kNotFound for an upstream that is none; everything else is an outcome.
  Result<Outcome> call(uint32_t upstream, Request request);
  // Does not wait: `on_end` runs on one of the plugin's threads, once, and throws nothing. Also kLimit when too many are out, and kGone
  // after close(): then it does not run. What is wrong with the request itself is an outcome.
  Result<uint64_t> send(uint32_t upstream, Request request, OnEnd on_end);
  void cancel(uint64_t request);

  // Requests whose end the plugin has not taken yet.
  size_t out() const;
  // Where on_end runs; null without upstreams.
  const std::shared_ptr<ingest::CallPool>& threads() const { return threads_; }

 private:
  struct State;
  Status check_ready(uint32_t upstream) const;

  std::vector<Upstream> upstreams_;
  std::vector<Client::UpstreamId> ids_;  // of the client; by the plugin's number
  std::atomic<Client*> client_{nullptr};
  std::shared_ptr<ingest::CallPool> threads_;
  std::shared_ptr<State> state_;  // shared with requests, whose ends may come late
};

}  // namespace postern::client
