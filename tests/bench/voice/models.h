// Models: the other side, as OpenAI's Realtime API: for each call that the gateway brings one endless response of 50 deltas a second, and now
// and then the caller "speaks", which ends the response and begins the next. Source: OpenAI API reference "Realtime", GA shape.
// Thread-safety: its loop's.
#pragma once

#include <memory>
#include <string>
#include <random>
#include <vector>

#include "tests/bench/voice/connection.h"
#include "tests/bench/voice/shared.h"

namespace postern::voice_load {

class Models final : public Handler {
 public:
  Models(Loop& loop, Shared& shared);
  ~Models() override;
  uint16_t port() const { return port_; }
  const Figures& figures() const { return figures_; }

  void ready(uint32_t events) override;  // somebody connects
  int64_t due(int64_t now_ns) override;  // a caller speaks

 private:
  class Call;
  // Sessions are cut off.
  struct Drops final : Handler {
    explicit Drops(Models& m) : models(m) {}
    void ready(uint32_t) override {}
    int64_t due(int64_t now_ns) override;
    Models& models;
    std::minstd_rand random{7};
  };

  Loop& loop_;
  Shared& shared_;
  int listener_;
  uint16_t port_ = 0;
  Figures figures_;
  std::vector<std::unique_ptr<Call>> calls_;
  size_t next_speaker_ = 0;
  uint32_t accepted_ = 0;
  Drops drops_{*this};
};

}  // namespace postern::voice_load
