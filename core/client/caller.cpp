#include "core/client/caller.h"

#include <algorithm>
#include <future>
#include <optional>
#include <unordered_map>
#include <utility>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mutex.h"

namespace postern::client {
namespace {

// How far an answer that the plugin does not take may pile up; beyond, it gets the outcome without the body.
constexpr ingest::CallPool::Limits kThreads{.threads = 2, .waiting = Caller::kMaxOut, .waiting_bytes = 64ull << 20};

}  // namespace

struct Caller::State {
  Mutex mutex;
  CondVar changed;
  bool closed GUARDED_BY(mutex) = false;
  uint64_t last GUARDED_BY(mutex) = 0;
  std::unordered_map<uint64_t, std::optional<Client::RequestId>> out GUARDED_BY(mutex);  // by the plugin's number; empty: not submitted yet

  Result<uint64_t> begin() EXCLUDES(mutex) {
    MutexLock lock(mutex);
    if (closed) return Status(Code::kGone, "the plugin is being stopped");
    if (out.size() >= kMaxOut) return Status(Code::kLimit, "the plugin has too many requests out; try again later");
    out[++last] = std::nullopt;
    return last;
  }
  // False when it is to be given up at once.
  bool submitted(uint64_t number, Client::RequestId request) EXCLUDES(mutex) {
    MutexLock lock(mutex);
    auto found = out.find(number);
    if (found != out.end()) found->second = request;
    return !closed;
  }
  void end(uint64_t number) EXCLUDES(mutex) {
    MutexLock lock(mutex);
    out.erase(number);
    changed.notify_all();
  }
};

namespace {

// One end that the plugin is told of.
class Told final : public ingest::CallPool::Call {
 public:
  Told(Caller::OnEnd on_end, std::shared_ptr<const Outcome> outcome, size_t bytes, std::function<void()> done)
      : Call(steady_ms() + Caller::kCallbackMs, bytes), on_end_(std::move(on_end)), outcome_(std::move(outcome)), done_(std::move(done)) {}
  void run() override {
    on_end_(*outcome_);
    on_end_ = nullptr;  // what it holds may be the plugin's
    done_();
  }

 private:
  Caller::OnEnd on_end_;
  const std::shared_ptr<const Outcome> outcome_;
  const std::function<void()> done_;
};

// On the client's thread, or the plugin's own.
void tell(ingest::CallPool& threads, const Caller::OnEnd& on_end, Outcome outcome, const std::function<void()>& done) {
  auto whole = std::make_shared<const Outcome>(std::move(outcome));
  size_t bytes = whole->body.size();
  if (threads.submit(std::make_shared<Told>(on_end, whole, bytes, done))) return;
  Outcome less;
  less.kind = Outcome::Kind::kBusy;
  less.attempts = whole->attempts;
  less.error = "the plugin does not take its answers as fast as they come";
  if (threads.submit(std::make_shared<Told>(on_end, std::make_shared<const Outcome>(std::move(less)), 0, done))) return;
  log::error("a plugin is not told how a request ended: the calls before it hang");
  done();
}

}  // namespace

Caller::Caller() : state_(std::make_shared<State>()) {}
Caller::~Caller() { close(0); }

Result<uint32_t> Caller::add_upstream(Upstream upstream) {
  constexpr size_t kMaxUpstreams = 100;
  if (Status s = check(upstream); !s) return s;
  for (const Upstream& other : upstreams_) {
    if (other.name == upstream.name) return Status(Code::kInvalid, "upstream '" + upstream.name + "' was added before");
  }
  if (upstreams_.size() >= kMaxUpstreams) return Status(Code::kLimit, "a plugin has at most 100 upstreams");
  upstreams_.push_back(std::move(upstream));
  return static_cast<uint32_t>(upstreams_.size() - 1);
}

Status Caller::change_upstream(const std::string& name, const std::function<void(Upstream&)>& change) {
  auto found = std::find_if(upstreams_.begin(), upstreams_.end(), [&](const Upstream& u) { return u.name == name; });
  if (found == upstreams_.end()) return {Code::kNotFound, "there is no such upstream"};
  Upstream changed = *found;
  change(changed);
  if (Status s = check(changed); !s) return s;
  *found = std::move(changed);
  return Status::ok();
}

Status Caller::connect(Client& client, const std::string& plugin) {
  if (upstreams_.empty()) return Status::ok();
  for (Upstream& upstream : upstreams_) {
    upstream.plugin = plugin;
    auto id = client.add_upstream(upstream);
    if (!id) {
      for (Client::UpstreamId added : ids_) client.remove_upstream(added);
      return id.status();
    }
    ids_.push_back(*id);
  }
  threads_ = std::make_shared<ingest::CallPool>(kThreads);
  client_ = &client;
  return Status::ok();
}

size_t Caller::out() const {
  MutexLock lock(state_->mutex);
  return state_->out.size();
}

bool Caller::close(int64_t within_ms) {
  Client* client = client_;
  if (client == nullptr) return true;
  int64_t until = steady_ms() + within_ms;
  State& s = *state_;
  MutexLock lock(s.mutex);
  if (!std::exchange(s.closed, true)) {
    for (Client::UpstreamId id : ids_) client->remove_upstream(id);
  }
  for (const auto& [number, request] : s.out) {
    if (request) client->cancel(*request);
  }
  while (!s.out.empty() && steady_ms() < until) {
    s.changed.wait_for(s.mutex, std::chrono::milliseconds(std::max<int64_t>(1, until - steady_ms())));
  }
  return s.out.empty();
}

Status Caller::check_ready(uint32_t upstream) const {
  if (client_ == nullptr) return {Code::kUnavailable, "requests can be made once the plugin is active"};
  if (upstream >= ids_.size()) return {Code::kNotFound, "there is no such upstream"};
  return Status::ok();
}

Result<Outcome> Caller::call(uint32_t upstream, Request request) {
  if (Status s = check_ready(upstream); !s) return s;
  Client& client = *client_;
  auto number = state_->begin();
  if (!number) return to_outcome(number.status());
  auto promise = std::make_shared<std::promise<Outcome>>();
  auto future = promise->get_future();
  auto taken = client.submit(ids_[upstream], std::move(request), [promise](Outcome outcome) { promise->set_value(std::move(outcome)); });
  if (taken && !state_->submitted(*number, *taken)) client.cancel(*taken);
  Outcome outcome = taken ? future.get() : to_outcome(taken.status());
  state_->end(*number);
  return outcome;
}

Result<uint64_t> Caller::send(uint32_t upstream, Request request, OnEnd on_end) {
  if (Status s = check_ready(upstream); !s) return s;
  Client& client = *client_;
  auto number = state_->begin();
  if (!number) return number;
  std::function<void()> done = [state = state_, n = *number] { state->end(n); };
  auto taken = client.submit(ids_[upstream], std::move(request), [threads = threads_, on_end, done](Outcome outcome) {
    tell(*threads, on_end, std::move(outcome), done);
  });
  if (taken) {
    if (!state_->submitted(*number, *taken)) client.cancel(*taken);
    return number;
  }
  bool of_the_request = taken.status().code() == Code::kInvalid || taken.status().code() == Code::kDenied;
  if (of_the_request) {
    tell(*threads_, on_end, to_outcome(taken.status()), done);
    return number;
  }
  state_->end(*number);
  return taken.status();
}

void Caller::cancel(uint64_t request) {
  Client* client = client_;
  if (client == nullptr) return;
  State& s = *state_;
  MutexLock lock(s.mutex);
  auto found = s.out.find(request);
  if (found != s.out.end() && found->second) client->cancel(*found->second);
}

}  // namespace postern::client
