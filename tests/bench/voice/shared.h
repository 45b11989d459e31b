// What both sides of the load and the thread that reports share, and their figures. Thread-safety: atomics; Figures belong to one side each
// and are read after its thread has ended.
#pragma once

#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>

#include "tests/bench/load/histogram.h"
#include "tests/bench/voice/options.h"
#include "tests/bench/voice/stamp.h"

namespace postern::voice_load {

struct Shared {
  explicit Shared(const Options& o) : options(o), speech_ns(std::make_unique<std::atomic<int64_t>[]>(o.calls)) {}

  // Whether a frame that was sent then counts.
  bool counts(int64_t sent_ns) const { return sent_ns >= begin_ns && sent_ns < end_ns; }

  const Options& options;
  std::atomic<bool> stop{false}, sending{true}, hanging_up{false}, measuring{false};
  std::atomic<int64_t> begin_ns{std::numeric_limits<int64_t>::max()}, end_ns{std::numeric_limits<int64_t>::max()};
  std::atomic<uint32_t> heard{0}, hearing{0};  // calls of which the model, the caller has got audio
  std::atomic<uint32_t> broken{0};             // connections that ended before they should; with drops, none is told from those that had to
  std::atomic<uint32_t> dropped{0};            // connections that were cut off on purpose
  std::atomic<uint32_t> begun{0};              // calls
  std::unique_ptr<std::atomic<int64_t>[]> speech_ns;  // by call: speech_started was sent, and no clear has come; 0: none
};

// Of one side: what it has sent, and what it has received from the other.
struct Figures {
  uint64_t sent = 0, received = 0;
  uint64_t cleared = 0;  // that a barge-in has taken back rightly
  load::Histogram latency, barge_in;
  uint64_t barge_ins = 0;  // begun
  uint64_t marks = 0;      // received by the callers
  std::string fault;       // the first one
  bool unlike = false;     // a frame came changed

  void tell(std::string_view what) {
    if (fault.empty()) fault = what;
  }
};

}  // namespace postern::voice_load
