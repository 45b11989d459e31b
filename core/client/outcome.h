// What is asked of an upstream, and what came of it. Thread-safety: plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postern::client {

using Headers = std::vector<std::pair<std::string, std::string>>;

struct Request {
  std::string method = "GET";
  std::string url;              // "/v1/messages?x=y": behind the upstream's base URL; or a whole one, which is guarded
  Headers headers;              // never logged
  std::string body;
  std::string idempotency_key;  // the same at every attempt; empty: one is made for POST and PATCH
  int64_t deadline_ms = 0;      // of the whole request, attempts and waits included; 0: the upstream's
};

struct Outcome {
  // The numbers are those of the ABI.
  enum class Kind : uint32_t {
    kOk = 0,           // 2xx
    kRejected = 1,     // 3xx, and 4xx but for 408 and 429: asking again gets the same
    kFailed = 2,       // 408, 429, 5xx
    kConnect = 3,      // no address, no connection, no TLS
    kTimeout = 4,      // of an attempt, or the whole deadline
    kBroken = 5,       // the connection ended too early, or what came is no HTTP
    kTooLarge = 6,     // the answer was over the limit, and cut off
    kRefused = 7,      // not sent: the request is wrong, or the guard forbids where it goes
    kBreakerOpen = 8,  // not sent: the upstream fails every time
    kBusy = 9,         // not sent: too many wait already
    kCancelled = 10,   // given up by whoever asked, or by the gateway's stop
  };
  static constexpr size_t kKinds = 11;
  // What becomes of the work that needed the answer.
  enum class Verdict { kDone, kRetry, kPostpone, kDead };  // kPostpone: nothing was tried, and it would have been in vain

  Kind kind = Kind::kCancelled;
  int status = 0;  // HTTP; 0 without an answer
  Headers headers;
  std::string body;
  uint32_t attempts = 0;  // that were sent
  // When trying again makes sense, as the upstream or the breaker says, at most a day; 0: nobody said.
  int64_t retry_after_ms = 0;
  std::string error;  // for people; without the query, headers or body of the request. Empty when it went well

  Verdict verdict() const;
  // The first header of that name, any case.
  const std::string* header(std::string_view name, size_t nth = 0) const;
};

// By the status of an answer alone.
Outcome::Kind kind_of_status(int status);
// "ok", "rejected", …: in metrics and `postern status`.
const char* to_text(Outcome::Kind kind);

// Milliseconds that a Retry-After header asks for: seconds or an HTTP date, at most a day. Nothing when it is neither.
std::optional<int64_t> parse_retry_after(std::string_view value, int64_t now_unix_ms);

}  // namespace postern::client
