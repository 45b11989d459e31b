// TokenBook: one-time tokens that show that a stream belongs to a call which this plugin was told of, since Twilio publishes no addresses
// and a handshake's signature says nothing of the call. A token is an expiry, a nonce and an HMAC over both and the call's id, so that it
// is valid at every gateway with the same API key, also after a restart; that it is used once is known to one instance.
// Thread-safety: any thread.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

namespace openai_realtime {

class TokenBook {
 public:
  static constexpr int64_t kValidMs = 120'000;  // from the TwiML to the stream's start

  explicit TokenBook(std::string_view secret) : secret_(secret) {}

  // `call`: what it is for; "" fits any call.
  std::string make(std::string_view call, int64_t now_ms);
  // True once for each token, until it expires.
  bool take(std::string_view token, std::string_view call, int64_t now_ms);

 private:
  std::string seal(std::string_view head, std::string_view call) const;

  const std::string secret_;
  std::mutex mutex_;
  std::map<std::string, int64_t, std::less<>> used_;  // until when
};

}  // namespace openai_realtime
