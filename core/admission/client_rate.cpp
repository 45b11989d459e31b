#include "core/admission/client_rate.h"

#include <algorithm>

namespace postern::admission {
namespace {

constexpr int64_t kSecond = 1'000'000'000;

}  // namespace

ClientRate::ClientRate(double rate, size_t places)
    : rate_(rate),
      per_request_ns_(std::max<int64_t>(1, static_cast<int64_t>(static_cast<double>(kSecond) / rate))),
      burst_ns_(std::max(kSecond, per_request_ns_)),
      sets_(std::max<size_t>(1, places / (kStripes * kWays))) {}

// The client's place. One that is new gets that which is full first, with what is left in its bucket.
ClientRate::Place& ClientRate::find(Place* ways, net::ClientKey key, int64_t now_ns) {
  Place* fullest = ways;
  for (Place* place = ways; place != ways + kWays; ++place) {
    if (place->key == key) return *place;
    if (place->full_at_ns < fullest->full_at_ns) fullest = place;
  }
  fullest->key = key;
  fullest->full_at_ns = std::max(fullest->full_at_ns, now_ns);
  return *fullest;
}

int64_t ClientRate::take(std::string_view address, int64_t now_us) {
  const net::ClientKey key = net::client_key(address);
  const uint64_t hash = hash_(key);
  const int64_t now_ns = now_us * 1000;
  Stripe& stripe = stripes_[hash % kStripes];
  MutexLock lock(stripe.mutex);
  if (stripe.places.empty()) stripe.places.resize(sets_ * kWays);
  Place& place = find(&stripe.places[hash / kStripes % sets_ * kWays], key, now_ns);
  const int64_t full_at = std::max(place.full_at_ns, now_ns) + per_request_ns_;
  const int64_t too_early = full_at - now_ns - burst_ns_;
  if (too_early > 0) return (too_early + kSecond - 1) / kSecond;
  place.full_at_ns = full_at;
  return 0;
}

}  // namespace postern::admission
