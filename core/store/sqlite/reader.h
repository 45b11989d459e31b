// Reader: one read-only connection with its statements. It sees the last commit and never delays the committer.
// Thread-safety: one thread at a time per Reader.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/store/crashes.h"
#include "core/store/reports.h"
#include "core/store/sqlite/database.h"
#include "core/store/store.h"
#include "core/store/upkeep.h"

namespace postern::store::sqlite {

// The columns of a delivery `d` with its event `e`, and what they are.
extern const char* const kDeliveryColumns;
void read_delivery(Statement& from, DeliveryRow& to);
void read_open_delivery(Statement& from, OpenDelivery& to);

class Reader {
 public:
  static Result<std::unique_ptr<Reader>> open(const std::string& path);

  Result<OpenPage> open_deliveries(const OpenQuery& query);
  Result<OpenSummary> sum_up_open_deliveries();
  Result<std::shared_ptr<const StoredEvent>> event(int64_t seq);
  Result<std::optional<Record>> record(const std::string& plugin, const std::string& collection, const std::string& key);
  // `newest`: what is not in the table yet, by key; of version 0: removed. It hides what the table has.
  Result<std::vector<NamedRecord>> records(const RecordFilter& filter, const std::map<std::string, Record>& newest);
  Result<std::vector<EventRow>> events(const EventFilter& filter);
  Result<std::vector<DeliveryRow>> deliveries(const DeliveryFilter& filter);
  Result<std::vector<AttemptRow>> attempts(int64_t delivery);

  // As in Upkeep; reader_upkeep.cpp.
  Result<Found> find(const Selection& selection, bool settled, const Scan& scan);
  Result<std::vector<Job>> jobs(bool running_only);
  Result<std::vector<ListedDelivery>> listed(int64_t job, int64_t after, size_t limit);
  Result<std::vector<OpenDelivery>> replayed_deliveries(int64_t after, size_t limit);
  Result<Upkeep::Prunable> prunable(const Cutoff& cutoff, const Scan& scan);
  Result<StoreSize> size();

  // As in Timers, seen at `now_ms`; reader_timers.cpp.
  Result<DueTimers> due_timers(const std::vector<std::string>& plugins, int64_t now_ms, size_t limit);

  // As in Crashes; reader_crashes.cpp.
  Result<std::vector<Crash>> crashes(const std::string& plugin, size_t limit);
  Result<uint32_t> crash_attempts(int64_t delivery);

  // As in Reports; reader_reports.cpp.
  Result<std::vector<ProviderReport>> report_by_provider(int64_t from, int64_t to);

 private:
  struct ReportPage {
    int64_t first, last;  // seq of events: from, and before
    int64_t from, to;     // Unix milliseconds, likewise
  };
  Result<int64_t> first_event_from(int64_t time);  // its seq
  Status add_to_report(const ReportPage& page, std::map<std::string, ProviderReport>& providers);

  Database database_;
  Statement open_bounds_, open_deliveries_, open_with_events_, event_, record_;  // the hot ones
};

}  // namespace postern::store::sqlite
