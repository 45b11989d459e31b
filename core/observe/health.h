// HealthBoard: what /api/health/ answers. Checks run in the background, each on a thread and schedule of its own, so that one that
// hangs delays neither requests nor the others; a request reads the last result.
// Thread-safety: add() before start(); answer() from any thread.
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
  using Check = std::function<HealthReport()>;

  ~HealthBoard() { stop(); }

  // `name` as the answer's key, with underscores.
  void add(std::string name, std::chrono::milliseconds interval, Check check);
  void start();
  // False when a check did not come back in time; what it uses must then not be destroyed.
  bool stop();

  // The JSON of /api/health/, or of /api/health/NAME (hyphens stand for underscores); nothing for an unknown name.
  std::optional<std::string> answer(std::string_view name, bool with_details) const;

 private:
  struct Entry {
    std::string name;
    std::chrono::milliseconds interval;
    Check check;
    HealthReport report;
  };
  struct Shared {  // outlives the board while a check hangs
    Mutex mutex;
    CondVar changed;
    bool stopping GUARDED_BY(mutex) = false;
    size_t running GUARDED_BY(mutex) = 0;
    std::vector<Entry> entries GUARDED_BY(mutex);
  };
  static void run(std::shared_ptr<Shared> shared, size_t index);

  std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
};

}  // namespace postern::observe
