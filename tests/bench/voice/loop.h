// Loop: epoll, and a queue of who has something to do when. What is due within a quarter of a millisecond is done together: to wake up for
// each frame takes the processor that the gateway needs. Thread-safety: one thread.
#pragma once

#include <sys/epoll.h>

#include <atomic>
#include <cstdint>
#include <queue>
#include <vector>

#include "tests/bench/load/histogram.h"
#include "tests/bench/voice/stamp.h"

namespace postern::voice_load {

class Handler {
 public:
  virtual ~Handler() = default;
  virtual void ready(uint32_t events) = 0;
  // Its time has come. Returns when the next time is; 0: never.
  virtual int64_t due(int64_t now_ns) = 0;
};

class Loop {
 public:
  Loop();
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  void watch(int fd, Handler& handler, uint32_t events, bool anew);
  void at(int64_t ns, Handler& handler) { times_.push({ns, &handler}); }
  void run(const std::atomic<bool>& stop);
  // By how much what was due came late, while the measurement ran.
  const load::Histogram& lateness() const { return lateness_; }
  void measure(const std::atomic<bool>& measuring) { measuring_ = &measuring; }
  // For whoever reads: 64 KiB that nobody keeps.
  std::vector<char>& buffer() { return buffer_; }
  std::string& text() { return text_; }

 private:
  struct Time {
    int64_t ns;
    Handler* handler;
    bool operator<(const Time& other) const { return ns > other.ns; }
  };
  void run_due();
  void wait();

  int epoll_;
  std::priority_queue<Time> times_;
  load::Histogram lateness_;
  const std::atomic<bool>* measuring_ = nullptr;
  int64_t last_due_ns_ = 0;
  std::vector<char> buffer_ = std::vector<char>(64 << 10);
  std::string text_;
};

}  // namespace postern::voice_load
