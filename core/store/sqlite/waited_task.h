// A task of the committer whose end somebody waits for. Thread-safety: any thread that may wait for the disk.
#pragma once

#include <future>
#include <memory>

#include "core/store/sqlite/committer.h"

namespace postern::store::sqlite {

template <typename Run>
class WaitedTask final : public Task {
 public:
  explicit WaitedTask(Run& run) : run_(run) {}
  std::future<Status> ended() { return ended_.get_future(); }

  Status run(Writer& writer, Writer::Batch& batch, const HasTime& has_time) override { return run_(writer, batch, has_time); }
  void end(const Status& status) override { ended_.set_value(status); }

 private:
  Run& run_;
  std::promise<Status> ended_;  // its own: who waits may be gone as soon as it is told
};

// Runs `run(Writer&, Writer::Batch&, const Task::HasTime&)`, which gives a Status, as a small part of a batch, and waits until it is
// durable. What it refers to lives that long.
template <typename Run>
Status run_in_batch(Committer& committer, Run run) {
  auto task = std::make_unique<WaitedTask<Run>>(run);
  std::future<Status> ended = task->ended();
  committer.submit(std::move(task));
  return ended.get();
}

}  // namespace postern::store::sqlite
