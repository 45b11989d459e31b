#include "core/plugin/session_lanes.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "core/base/clock.h"
#include "core/base/thread_name.h"

namespace postern::plugin {
namespace {

constexpr int64_t kThreadEndsWithinMs = 1'000;

// Sessions are bound by system calls and copying, and the loops that take webhooks want their part.
size_t lanes_for_machine() { return std::max(1u, std::thread::hardware_concurrency() / 2); }

}  // namespace

void SessionLanes::Lane::let_leave(const std::shared_ptr<websocket::Session>& session) {
  std::erase_if(leaving_, [](const auto& one) { return one.expired(); });
  leaving_.push_back(session);
}

void SessionLanes::Lane::cut_off_leaving() {
  for (const auto& one : std::exchange(leaving_, {})) {
    if (auto session = one.lock()) session->abort("the gateway stops");
  }
}

SessionLanes::~SessionLanes() {
  close(1001, "the gateway stops");
  if (stop(steady_ms())) return;
  for (auto& lane : take_lanes()) {  // inside the plugin: what it uses there stays
    lane->thread.detach();
    static_cast<void>(lane.release());
  }
}

Result<SessionLanes::Place> SessionLanes::choose() {
  MutexLock lock(mutex_);
  if (closed_) return Status(Code::kGone, "the plugin is about to end");
  if (!open_) return Status(Code::kUnavailable, "the plugin is not active");
  if (sessions_.size() >= kMaxSessions) return Status(Code::kLimit, "there are too many sessions");
  while (lanes_.size() < lanes_for_machine()) {
    auto lane = std::make_unique<Lane>();
    if (Status s = lane->loop.open(); !s) return s;
    lane->thread = std::thread([this, lane = lane.get()] {
      name_thread("sessions");
      lane->loop.run();
      MutexLock ended(mutex_);
      lane->ended = true;
      changed_.notify_all();
    });
    lanes_.push_back(std::move(lane));
  }
  const auto least = std::min_element(lanes_.begin(), lanes_.end(), [](const auto& a, const auto& b) { return a->sessions < b->sessions; });
  ++places_;
  return Place(*this, **least);
}

void SessionLanes::give_back() {
  MutexLock lock(mutex_);
  --places_;
  changed_.notify_all();
}

uint64_t SessionLanes::add(Lane& lane, std::weak_ptr<Session> session) {
  ++lane.sessions;
  MutexLock lock(mutex_);
  sessions_.emplace(++last_, Entry{&lane, std::move(session)});
  return last_;
}

void SessionLanes::remove(uint64_t number) {
  MutexLock lock(mutex_);
  auto found = sessions_.find(number);
  if (found == sessions_.end()) return;
  --found->second.lane->sessions;
  sessions_.erase(found);
  changed_.notify_all();
}

// The lane's thread must be the one that lets go of a session last.
Status SessionLanes::wake(uint64_t number) {
  MutexLock lock(mutex_);
  auto found = sessions_.find(number);
  if (found == sessions_.end()) return {Code::kGone, "the session has ended"};
  found->second.lane->loop.post([weak = found->second.session] {
    if (auto session = weak.lock()) session->wake();
  });
  return Status::ok();
}

size_t SessionLanes::size() const {
  MutexLock lock(mutex_);
  return sessions_.size();
}

bool SessionLanes::used() const {
  MutexLock lock(mutex_);
  return last_ > 0;
}

net::Resolver& SessionLanes::resolver() {
  MutexLock lock(mutex_);
  if (!resolver_) resolver_ = std::make_unique<net::Resolver>();
  return *resolver_;
}

Result<std::shared_ptr<const net::TlsClient>> SessionLanes::trust(const std::string& ca_file) {
  MutexLock lock(mutex_);
  auto& known = trust_[ca_file];
  if (known) return known;
  auto made = net::TlsClient::make(ca_file);
  if (made) known = *made;
  return made;
}

void SessionLanes::on_each(const std::function<void(Session&)>& task) {
  MutexLock lock(mutex_);
  for (const auto& [number, entry] : sessions_) {
    entry.lane->loop.post([weak = entry.session, task] {
      if (auto session = weak.lock()) task(*session);
    });
  }
}

void SessionLanes::close(uint16_t code, std::string_view reason) {
  {
    MutexLock lock(mutex_);  // whoever chooses now has chosen before, or does not any more
    if (closed_.exchange(true)) return;
  }
  on_each([code, reason = std::string(reason)](Session& session) { session.close(code, reason); });
}

bool SessionLanes::wait_until_empty(int64_t until_ms) {
  MutexLock lock(mutex_);
  const auto empty = [this]() REQUIRES(mutex_) { return sessions_.empty() && places_ == 0; };
  for (int64_t now = steady_ms(); !empty() && now < until_ms; now = steady_ms()) {
    changed_.wait_for(mutex_, std::chrono::milliseconds(until_ms - now));
  }
  return empty();
}

bool SessionLanes::stop(int64_t until_ms) {
  if (!wait_until_empty(until_ms)) {
    on_each([](Session& session) { session.abort("the gateway stops"); });
    wait_until_empty(steady_ms() + kThreadEndsWithinMs);
  }
  std::unique_ptr<net::Resolver> resolver;
  {
    MutexLock lock(mutex_);
    resolver.swap(resolver_);
  }
  resolver.reset();  // before the loops, to which it brings its answers
  std::vector<std::unique_ptr<Lane>> hanging;
  for (auto& lane : take_lanes()) {
    lane->loop.post([lane = lane.get()] {
      lane->cut_off_leaving();
      lane->loop.stop();
    });
    hanging.push_back(std::move(lane));
  }
  std::erase_if(hanging, [this](const auto& lane) {
    if (!has_ended(*lane, steady_ms() + kThreadEndsWithinMs)) return false;
    lane->thread.join();
    return true;
  });
  MutexLock lock(mutex_);
  lanes_ = std::move(hanging);
  return lanes_.empty();
}

std::vector<std::unique_ptr<SessionLanes::Lane>> SessionLanes::take_lanes() {
  MutexLock lock(mutex_);
  return std::exchange(lanes_, {});
}

bool SessionLanes::has_ended(Lane& lane, int64_t until_ms) {
  MutexLock lock(mutex_);
  for (int64_t now = steady_ms(); !lane.ended && now < until_ms; now = steady_ms()) {
    changed_.wait_for(mutex_, std::chrono::milliseconds(until_ms - now));
  }
  return lane.ended;
}

}  // namespace postern::plugin
