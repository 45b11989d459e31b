// postern/reports.hpp - what has come within a time and what has become of it, by provider. Part of plugin.hpp.
//
//   reports_ = setup.reports();                                 // in init
//   for (const postern::ProviderReport& one : reports_.by_provider(midnight - 24h, midnight)) …
//
// Errors: throws Error. Threads: a Reports is a plain value for any thread that may wait for the store, from activate on.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ext/reports.h"
#include "request.hpp"

namespace postern::inline sdk {

// postern_provider_report: see ext/reports.h.
struct ProviderReport {
  std::string provider;
  uint64_t received = 0;
  uint64_t done = 0, dead = 0, waiting = 0;
  uint64_t slowest_ms = 0;
  std::string slowest_event, slowest_type;
};

class Reports {
 public:
  Reports() = default;
  explicit Reports(const detail::HostTables& tables) : host_(tables.host), table_(tables.reports) {}

  // Whether the gateway has them.
  bool available() const { return table_ != nullptr; }
  // Of events that came from `from` on and before `to`, Unix milliseconds.
  std::vector<ProviderReport> by_provider(int64_t from, int64_t to) const {
    std::vector<ProviderReport> all;
    detail::check(detail::need(table_, POSTERN_EXT_REPORTS).by_provider(host_, from, to, &Reports::take, &all), "a report");
    return all;
  }

 private:
  static void take(void* user, const postern_provider_report* one) noexcept {
    static_cast<std::vector<ProviderReport>*>(user)->push_back({std::string(to_view(one->provider)), one->received, one->done, one->dead,
                                                                one->waiting, one->slowest_ms, std::string(to_view(one->slowest_event)),
                                                                std::string(to_view(one->slowest_type))});
  }

  postern_host* host_ = nullptr;
  const postern_ext_reports* table_ = nullptr;
};

}  // namespace postern::inline sdk
