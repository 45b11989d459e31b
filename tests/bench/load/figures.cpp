#include "tests/bench/load/figures.h"

#include <algorithm>

namespace postern::load {

void Figures::merge(const Figures& other) {
  for (uint64_t Figures::*const figure : {&Figures::requests, &Figures::acked, &Figures::queued, &Figures::duplicates,
                                          &Figures::repeats, &Figures::retries, &Figures::broken, &Figures::timeouts,
                                          &Figures::malformed, &Figures::refused_connections, &Figures::unacked}) {
    this->*figure += other.*figure;
  }
  if (other.first_us != 0 && (first_us == 0 || other.first_us < first_us)) first_us = other.first_us;
  last_us = std::max(last_us, other.last_us);
  for (const auto& [status, count] : other.statuses) statuses[status] += count;
  latency.merge(other.latency);
  if (failure.empty()) failure = other.failure;
}

}  // namespace postern::load
