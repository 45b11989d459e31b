// postern.reports/1: what the test has said.
#include "host_state.h"

namespace postern::testing {
namespace {

postern_str lend(const std::string& text) { return {text.data(), text.size()}; }

postern_status by_provider(postern_host* handle, int64_t from_ms, int64_t to_ms, postern_provider_callback tell, void* user) {
  HostState& host = HostState::of(handle);
  std::vector<ReportedProvider> providers;
  {
    std::lock_guard lock(host.mutex);
    if (host.phase != Phase::kReady) return POSTERN_E_STATE;
    if (tell == nullptr || from_ms > to_ms) return POSTERN_E_INVALID;
    host.reports.emplace_back(from_ms, to_ms);
    providers = host.report;
  }
  for (const ReportedProvider& one : providers) {
    const postern_provider_report theirs = {sizeof theirs, 0, lend(one.provider), one.received, one.done, one.dead, one.waiting,
                                            one.slowest_ms, lend(one.slowest_event), lend(one.slowest_type)};
    tell(user, &theirs);
  }
  return POSTERN_OK;
}

}  // namespace

const postern_ext_reports kReports = {&by_provider};

void FakeHost::set_report(std::vector<ReportedProvider> providers) {
  std::lock_guard lock(state_->mutex);
  state_->report = std::move(providers);
}

std::vector<std::pair<int64_t, int64_t>> FakeHost::reports() const {
  std::lock_guard lock(state_->mutex);
  return state_->reports;
}

}  // namespace postern::testing
