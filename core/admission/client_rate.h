// ClientRate: at most `rate` requests a second of each client in the long run, with bursts of one second's worth (at least one): a token
// bucket for each, in a table whose size is fixed.
//
// A bucket is one number: when it will be full again (the "generic cell rate algorithm"). One that is full is as good as none, so it may be
// forgotten for free; where there is no room for another client, that which has been full for longest, the least recently used, goes.
//
// Attack: more addresses than there is room for, each of which begins with a full bucket, or comes back to one. While none is full,
// whoever comes new takes the place of the one that will be full first, and goes on with what is left in that one's bucket. So all clients
// of a place together get no more than one gets, whatever number of addresses somebody has; to evict is to pay. The price: while such a
// flood lasts, a new client may find a bucket that others have emptied, and is told when to try again. Which addresses share a place
// nobody outside knows.
// Thread-safety: any thread; threads that ask for different clients seldom wait for each other.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "core/base/mutex.h"
#include "core/net/client_key.h"

namespace postern::admission {

class ClientRate {
 public:
  // `places`: of clients that are remembered. A place takes 16 bytes, and none before it is needed.
  explicit ClientRate(double rate, size_t places = kPlaces);

  // 0 when the request may pass, else the whole seconds after which to try again. `now_us`: steady microseconds.
  int64_t take(std::string_view address, int64_t now_us);
  double rate() const { return rate_; }

  static constexpr size_t kPlaces = 64 * 1024;
  static constexpr size_t kStripes = 64, kWays = 8;

 private:
  struct Place {
    net::ClientKey key{0};
    int64_t full_at_ns = 0;  // steady
  };
  struct alignas(64) Stripe {
    Mutex mutex;
    std::vector<Place> places GUARDED_BY(mutex);
  };
  static Place& find(Place* ways, net::ClientKey key, int64_t now_ns);

  const double rate_;
  const int64_t per_request_ns_, burst_ns_;  // that a request moves full_at by; how far ahead it may be
  const size_t sets_;                        // of a stripe
  const net::KeyedHash hash_;
  std::array<Stripe, kStripes> stripes_;
};

}  // namespace postern::admission
