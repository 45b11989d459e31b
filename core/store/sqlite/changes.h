// Changes: what Upkeep writes, in SQL, inside an open transaction of the committer. Thread-safety: the committer's thread.
#pragma once

#include <string>
#include <vector>

#include "core/store/sqlite/committer.h"
#include "core/store/upkeep.h"

namespace postern::store::sqlite {

class Changes {
 public:
  Changes(Database& database, Writer::Batch& batch, const Task::HasTime& has_time)
      : database_(database), batch_(batch), has_time_(has_time) {}

  // Each gives a fault of the disk, which spoils the batch. What is refused is left in refusal(), and nothing is written then.
  Status add_job(const NewJob& wanted, Job& made);
  Status advance(int64_t id, const Advance& by, Advanced& to);
  Status cancel_job(int64_t id, Job& job);
  Status prune(const Cutoff& cutoff, const std::vector<int64_t>& events, Removed& removed);
  Status shrink(uint64_t bytes);

  const Status& refusal() const { return refusal_; }

 private:
  Status find_job(int64_t id, Job& job);
  Status keep_job(const Job& job);
  Status forget_items(int64_t job);
  Status forget_old_jobs(int64_t newest);
  Status change(const Job& job, const Advance::Item& item, Advanced& to, bool& changed);
  Status queue_again(const Job& job, int64_t delivery, Advanced& to, bool& changed);
  Status drop(int64_t delivery, bool& changed);
  Status remove_event(const Cutoff& cutoff, int64_t event, bool& removed);
  Status run(Statement& statement, const char* doing);
  Result<Statement*> prepared(Statement& statement, const std::string& sql);

  Database& database_;
  Writer::Batch& batch_;
  const Task::HasTime& has_time_;
  Status refusal_;
  Statement look_, queue_, drop_, range_, attempts_, deliveries_, event_;  // prepared when first needed
};

}  // namespace postern::store::sqlite
