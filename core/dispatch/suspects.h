// Suspects: deliveries of which one may have ended an earlier life of the gateway: it was killed, or out of memory, while they were inside
// plugins, and nobody can tell which it was. They run before all others and one at a time, so that the one that does it again has nobody
// beside it who could be blamed for it.
// Thread-safety: none of its own; the dispatcher's lock guards it. The watch is told on any thread, one call at a time.
#pragma once

#include <cstdint>
#include <deque>
#include <set>
#include <utility>

namespace postern::dispatch {

// Who remembers which of them runs, should the gateway end meanwhile.
class SuspectWatch {
 public:
  virtual ~SuspectWatch() = default;
  virtual void try_alone(int64_t delivery) = 0;  // it is about to run, with no other delivery beside it
  virtual void acquit(int64_t delivery) = 0;     // and has come back
};

template <typename Entry>
class Suspects {
 public:
  void add(Entry entry) {
    known_.insert({entry.seq, entry.replayed_at != 0});
    waiting_.push_back(std::move(entry));
  }
  // Whether nobody else may run yet.
  bool on_trial() const { return tried_ != 0 || !waiting_.empty(); }
  bool may_start() const { return tried_ == 0 && !waiting_.empty(); }
  Entry start() {
    Entry entry = std::move(waiting_.front());
    waiting_.pop_front();
    tried_ = entry.seq;
    return entry;
  }
  // It came back, or is not waited for any more. False: it was not the one.
  bool end(int64_t delivery) {
    if (delivery != tried_) return false;
    tried_ = 0;
    return true;
  }
  // Whether it came by this way: it is not to come by another one as well. One that is replayed once it is settled is not meant.
  bool contains(int64_t delivery, bool replayed) const { return known_.contains({delivery, replayed}); }
  void forget(int64_t delivery, bool replayed) { known_.erase({delivery, replayed}); }

 private:
  std::deque<Entry> waiting_;
  std::set<std::pair<int64_t, bool>> known_;
  int64_t tried_ = 0;
};

}  // namespace postern::dispatch
