// Resolver: host names to addresses, on threads of its own, since getaddrinfo() waits. Answers are kept for half a minute, failures for a
// second, so that many calls to one place ask once.
// Thread-safety: any thread.
#pragma once

#include <Poco/Net/SocketAddress.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "core/base/mutex.h"
#include "core/base/status.h"

namespace postern::net {

using Addresses = std::vector<Poco::Net::SocketAddress>;

class Resolver {
 public:
  using Done = std::function<void(const Result<Addresses>&)>;
  // For tests: what stands for getaddrinfo().
  using LookUp = std::function<Result<Addresses>(const std::string& host, uint16_t port)>;

  explicit Resolver(LookUp look_up = system_look_up);
  // Whoever still waits is told kUnavailable. Waits for a getaddrinfo() that is under way, which its own time-out bounds.
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // Calls `done` once: within this call for numeric addresses and what is known, else on a thread of the resolver's. At most
  // kMaxWaiting wait; more are told kLimit.
  void resolve(const std::string& host, uint16_t port, Done done) EXCLUDES(mutex_);

  static Result<Addresses> system_look_up(const std::string& host, uint16_t port);
  static constexpr size_t kMaxWaiting = 1000;

 private:
  struct Known {
    Result<Addresses> answer;
    int64_t until_ms;
  };
  using Key = std::pair<std::string, uint16_t>;

  void run() EXCLUDES(mutex_);
  std::optional<Result<Addresses>> known(const Key& key, int64_t now_ms) REQUIRES(mutex_);

  const LookUp look_up_;
  Mutex mutex_;
  CondVar wake_;
  std::deque<Key> queue_ GUARDED_BY(mutex_);
  std::map<Key, std::vector<Done>> waiting_ GUARDED_BY(mutex_);
  size_t waiting_count_ GUARDED_BY(mutex_) = 0;
  std::map<Key, Known> known_ GUARDED_BY(mutex_);
  bool stopping_ GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace postern::net
