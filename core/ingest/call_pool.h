// CallPool: threads for calls into one plugin for which a client waits: verify functions and reply handlers. Event handlers never occupy
// them, and one plugin's calls never occupy another's.
//
// A call that hangs cannot be stopped. Past its deadline its thread no longer counts, and another one takes its place when there is work
// for it; but only so often, since each holds its memory. When more are stuck than the pool may have threads, none is replaced any more.
// Thread-safety: any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace postern::ingest {

class CallPool {
 public:
  struct Limits {
    uint32_t threads = 8;
    size_t waiting = 1024;
    size_t waiting_bytes = 64 * 1024 * 1024;  // held by the calls that wait: nobody may have verified them yet
  };
  class Call {
   public:
    Call(int64_t d, size_t b) : deadline_ms(d), bytes(b) {}
    virtual ~Call() = default;
    virtual void run() = 0;     // on one of the pool's threads
    // A thread that is inside later is given up. Steady milliseconds; asked when the call begins.
    virtual int64_t deadline() const { return deadline_ms; }
    const int64_t deadline_ms;
    const size_t bytes;         // that it holds
  };

  explicit CallPool(Limits limits);
  ~CallPool();
  CallPool(const CallPool&) = delete;
  CallPool& operator=(const CallPool&) = delete;

  // False when there is no room, or the pool has been stopped: the call will not run.
  bool submit(std::shared_ptr<Call> call);

  // Whether calls wait for a thread. Submitting gives up threads that are past their deadline and replaces them; where nothing may be
  // submitted for long, whoever has calls waiting asks for that from time to time.
  bool look_after();

  // Runs nothing new and waits for what runs. False when threads are still inside after `within_ms` milliseconds: the plugin must not be
  // destroyed then.
  bool stop(int64_t within_ms);

  struct Status {
    uint32_t threads = 0, busy = 0, stuck = 0;
    size_t waiting = 0;
  };
  Status status() const;

 private:
  struct State;
  std::shared_ptr<State> state_;  // shared with the threads: a stuck one outlives the pool
};

}  // namespace postern::ingest
