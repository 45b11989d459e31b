#include "core/net/resolver.h"

#include <Poco/Exception.h>
#include <Poco/Net/DNS.h>
#include <Poco/Net/IPAddress.h>

#include <utility>

#include "core/base/clock.h"
#include "core/base/thread_name.h"

namespace postern::net {
namespace {

constexpr int kThreads = 2;  // so that one name whose servers are silent does not hold up all others
constexpr int64_t kKeptMs = 30'000;
constexpr int64_t kFailureKeptMs = 1'000;
constexpr size_t kMaxKnown = 1'000;

Addresses with_port(const std::vector<Poco::Net::IPAddress>& hosts, uint16_t port) {
  Addresses addresses;
  for (const Poco::Net::IPAddress& host : hosts) addresses.emplace_back(host, port);
  return addresses;
}

}  // namespace

Result<Addresses> Resolver::system_look_up(const std::string& host, uint16_t port) {
  try {
    Addresses found = with_port(Poco::Net::DNS::hostByName(host).addresses(), port);
    if (!found.empty()) return found;
  } catch (const Poco::Exception&) {  // its text has the host, and no more than this
  }
  return Status(Code::kUnavailable, "the host's name has no address");
}

Resolver::Resolver(LookUp look_up) : look_up_(std::move(look_up)) {
  for (int i = 0; i < kThreads; ++i) threads_.emplace_back([this] { run(); });
}

Resolver::~Resolver() {
  std::map<Key, std::vector<Done>> left;
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    queue_.clear();
    left.swap(waiting_);
    wake_.notify_all();
  }
  for (std::thread& thread : threads_) thread.join();
  const Result<Addresses> gone = Status(Code::kUnavailable, "the gateway stops");
  for (const auto& [key, waiting] : left) {
    for (const Done& done : waiting) done(gone);
  }
}

std::optional<Result<Addresses>> Resolver::known(const Key& key, int64_t now_ms) {
  auto found = known_.find(key);
  if (found == known_.end()) return std::nullopt;
  if (found->second.until_ms > now_ms) return found->second.answer;
  known_.erase(found);
  return std::nullopt;
}

void Resolver::resolve(const std::string& host, uint16_t port, Done done) {
  if (Poco::Net::IPAddress address; Poco::Net::IPAddress::tryParse(host, address)) return done(with_port({address}, port));
  std::optional<Result<Addresses>> answer;
  {
    const Key key(host, port);
    MutexLock lock(mutex_);
    answer = known(key, steady_ms());
    if (!answer && waiting_count_ >= kMaxWaiting) answer = Status(Code::kLimit, "too many names wait to be resolved");
    if (!answer) {
      ++waiting_count_;
      auto& waiting = waiting_[key];
      waiting.push_back(std::move(done));
      if (waiting.size() > 1) return;
      queue_.push_back(key);
      wake_.notify_one();
      return;
    }
  }
  done(*answer);
}

void Resolver::run() {
  name_thread("resolver");
  while (true) {
    Key key;
    {
      MutexLock lock(mutex_);
      while (queue_.empty() && !stopping_) wake_.wait(mutex_);
      if (stopping_) return;
      key = std::move(queue_.front());
      queue_.pop_front();
    }
    Result<Addresses> answer = look_up_(key.first, key.second);
    std::vector<Done> waiting;
    {
      MutexLock lock(mutex_);
      if (stopping_) return;
      if (known_.size() >= kMaxKnown) known_.clear();
      known_.insert_or_assign(key, Known{answer, steady_ms() + (answer ? kKeptMs : kFailureKeptMs)});
      auto found = waiting_.find(key);
      waiting = std::move(found->second);
      waiting_.erase(found);
      waiting_count_ -= waiting.size();
    }
    for (const Done& done : waiting) done(answer);
  }
}

}  // namespace postern::net
