// OpenphoneSource: OpenPhone's events of API 2026-03-30, signed in any of its three ways. Thread-safety: as EventSource.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "tests/bench/load/event_source.h"
#include "tests/bench/load/hmac.h"

namespace postern::load {

class OpenphoneSource : public EventSource {
 public:
  // Throws std::invalid_argument when the secret cannot be read or the body cannot be so small.
  explicit OpenphoneSource(const Options& options);

  std::string_view request(EventId id, int64_t now_ms) override;

 private:
  std::string lay_out_body() const;
  std::string lay_out_head(size_t body_size) const;
  void sign(int64_t now_ms);

  Options options_;
  HmacSha256 hmac_;
  size_t body_at_ = 0;
  Places ids_;
  Places conversations_;
  Places phones_;
  Places times_;
  size_t signature_at_ = 0;
  size_t time_size_ = 0;  // digits of the timestamp
  std::string prefix_;    // of what is signed: all before the body
};

}  // namespace postern::load
