// Callers: N phone calls as Twilio's media streams bring them, each with a frame every 20 ms, evenly spread. What they hear is played in real
// time, a little behind, as a phone's jitter buffer does it, and marks come back when what was before them has been played: with the call's
// next frame. Source: Twilio docs "Media Streams - WebSocket Messages". Thread-safety: its loop's.
#pragma once

#include <netinet/in.h>

#include <deque>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "tests/bench/voice/connection.h"
#include "tests/bench/voice/shared.h"

namespace postern::voice_load {

class Callers final : public Handler {
 public:
  Callers(Loop& loop, Shared& shared);
  ~Callers() override;
  const Figures& figures() const { return figures_; }

  void ready(uint32_t) override {}
  int64_t due(int64_t now_ns) override;  // a call is cut off

 private:
  class Call;

  Loop& loop_;
  Shared& shared_;
  sockaddr_in gateway_{};
  std::string handshake_;
  Figures figures_;
  std::vector<std::unique_ptr<Call>> calls_;
  std::minstd_rand random_;
  uint32_t again_ = 0;
};

}  // namespace postern::voice_load
