// HealthBoard: what /api/health/ answers. Checks run in the background, each on a thread and schedule of its own, so that one that
// hangs delays neither requests nor the others; a request reads the last result.
// Thread-safety: answer() from any thread; the others from the control thread.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/mutex.h"

namespace postern::observe {

enum class Health { kHealthy, kConfigured, kDegraded, kUnhealthy };
const char* to_text(Health health);

struct HealthReport {
  Health status = Health::kConfigured;
  std::string message = "not checked yet";
  std::string details_json = "{}";
};

class HealthBoard {
 public:
  struct Check {
    std::string name;  // the answer's key
    std::chrono::milliseconds interval;
    std::function<HealthReport()> function;
  };

  ~HealthBoard() { stop(); }

  // A check for good; before start(). `name` as the answer's key, with underscores.
  void add(std::string name, std::chrono::milliseconds interval, std::function<HealthReport()> function);
  // Those of plugins: instead of the ones that were set before, of which none begins any more. One that goes by the name of one before
  // shows its last report until it has its own.
  void set(std::vector<Check> checks);
  void start();
  // False when a check did not come back in time; what it uses must then not be destroyed.
  bool stop();

  // The JSON of /api/health/, or of /api/health/NAME (hyphens stand for underscores); nothing for an unknown name.
  std::optional<std::string> answer(std::string_view name, bool with_details) const;

 private:
  struct Entry {
    Check check;
    bool for_good = false;
    HealthReport report;
    bool ended = false;  // another is in its place
  };
  struct Shared {  // outlives the board while a check hangs
    Mutex mutex;
    CondVar changed;
    bool started GUARDED_BY(mutex) = false;
    bool stopping GUARDED_BY(mutex) = false;
    size_t running GUARDED_BY(mutex) = 0;
    std::vector<std::shared_ptr<Entry>> entries GUARDED_BY(mutex);  // what is in them too, but for the check
  };
  static std::shared_ptr<Entry> make_entry(Check check);
  static void spawn(const std::shared_ptr<Shared>& shared, const std::shared_ptr<Entry>& entry) REQUIRES(shared->mutex);
  static void run(const std::shared_ptr<Shared>& shared, std::shared_ptr<Entry> entry);

  std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
};

}  // namespace postern::observe
