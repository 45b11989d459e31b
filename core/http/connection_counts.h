// ConnectionCounts: how many connections each client has open, on all loops together.
//
// Attack: one address that takes every connection there is, slowly and in proper HTTP. There are no more counts than open connections.
// Thread-safety: any thread; it outlives the slots that it gave.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <unordered_map>
#include <utility>

#include "core/base/mutex.h"
#include "core/net/client_key.h"

namespace postern::http {

class ConnectionCounts {
 public:
  // One connection, until it is destroyed. An empty one counts for nobody.
  class Slot {
   public:
    Slot() = default;
    Slot(Slot&& other) noexcept : counts_(std::exchange(other.counts_, nullptr)), key_(other.key_) {}
    Slot& operator=(Slot&& other) noexcept {
      std::swap(counts_, other.counts_);
      std::swap(key_, other.key_);
      return *this;
    }
    ~Slot() {
      if (counts_ != nullptr) counts_->give_back(key_);
    }

   private:
    friend class ConnectionCounts;
    Slot(ConnectionCounts* counts, net::ClientKey key) : counts_(counts), key_(key) {}
    ConnectionCounts* counts_ = nullptr;
    net::ClientKey key_{0};
  };

  // Nothing when the client has `limit` of them already.
  std::optional<Slot> take(net::ClientKey key, uint32_t limit) {
    Stripe& stripe = stripe_of(key);
    MutexLock lock(stripe.mutex);
    uint32_t& count = stripe.counts[key];
    if (count >= limit) {
      if (count == 0) stripe.counts.erase(key);
      return std::nullopt;
    }
    ++count;
    return Slot(this, key);
  }
  // Clients that have any.
  size_t clients() const {
    size_t sum = 0;
    for (const Stripe& stripe : stripes_) {
      MutexLock lock(stripe.mutex);
      sum += stripe.counts.size();
    }
    return sum;
  }

 private:
  struct Stripe {
    mutable Mutex mutex;
    std::unordered_map<net::ClientKey, uint32_t, net::KeyedHash> counts GUARDED_BY(mutex);
  };
  Stripe& stripe_of(net::ClientKey key) { return stripes_[hash_(key) % stripes_.size()]; }

  void give_back(net::ClientKey key) {
    Stripe& stripe = stripe_of(key);
    MutexLock lock(stripe.mutex);
    auto found = stripe.counts.find(key);
    if (found != stripe.counts.end() && --found->second == 0) stripe.counts.erase(found);
  }

  const net::KeyedHash hash_;
  std::array<Stripe, 16> stripes_;
};

}  // namespace postern::http
