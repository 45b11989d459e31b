// postern.reports/1
#include <postern/ext/reports.h>

#include "core/extension/convert.h"
#include "core/extension/table.h"

namespace postern::extension {
namespace {

postern_status by_provider(postern_host* host, int64_t from_ms, int64_t to_ms, postern_provider_callback tell, void* user) {
  return contained([&]() -> postern_status {
    if (tell == nullptr || from_ms > to_ms) return fail(POSTERN_E_INVALID, "a report needs a time, and a function that is told");
    if (host->reports == nullptr) return fail(POSTERN_E_STATE, "there are reports from activate on");
    auto reports = host->reports->by_provider(from_ms, to_ms);
    if (!reports) return fail(POSTERN_E_INTERNAL, reports.status().message());
    for (const store::ProviderReport& ours : *reports) {
      postern_provider_report theirs{};
      theirs.struct_size = sizeof theirs;
      theirs.provider = borrow(ours.provider);
      theirs.received = ours.received;
      theirs.done = ours.done;
      theirs.dead = ours.dead;
      theirs.waiting = ours.waiting;
      theirs.slowest_ms = static_cast<uint64_t>(ours.slowest_ms);
      theirs.slowest_event = borrow(ours.slowest_event);
      theirs.slowest_type = borrow(ours.slowest_type);
      tell(user, &theirs);
    }
    return POSTERN_OK;
  });
}

}  // namespace

const void* reports() {
  static const postern_ext_reports table = [] {
    postern_ext_reports t{};
    t.by_provider = by_provider;
    return t;
  }();
  return &table;
}

}  // namespace postern::extension
