// TwilioSource: Twilio's requests to a voice URL (a path that ends in "incoming-call", or any other) and its status
// callbacks (a path that ends in "call-status"), signed with HMAC-SHA1 of the auth token as Twilio's "Security" page
// has it. Thread-safety: as EventSource.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/bench/load/event_source.h"
#include "tests/bench/load/hmac.h"

namespace postern::load {

using Fields = std::vector<std::pair<std::string, std::string>>;  // name and value, both decoded

// What X-Twilio-Signature covers: the URL, then in byte order of the names each name followed by its value. No name may
// be there twice.
std::string twilio_signed_text(std::string_view url, Fields fields);

// 28 characters of base64.
std::string twilio_signature(const HmacSha1& hmac, std::string_view signed_text);

class TwilioSource : public EventSource {
 public:
  // Throws std::invalid_argument when the body cannot be so small.
  explicit TwilioSource(const Options& options);

  std::string_view request(EventId id, int64_t now_ms) override;

 private:
  uint64_t conversations_;
  HmacSha1 hmac_;
  std::string signed_;  // laid out like the request, so that nothing is decoded or sorted for each event
  Places ids_;
  Places phones_;
  Places signed_ids_;
  Places signed_phones_;
  size_t signature_at_ = 0;
};

}  // namespace postern::load
