#include "core/client/outcome.h"

#include <curl/curl.h>

#include <algorithm>
#include <charconv>

namespace postern::client {
namespace {

constexpr int64_t kLongestRetryAfterMs = 24ll * 3600 * 1000;

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool same_name(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return lower(x) == lower(y); });
}

}  // namespace

Outcome::Verdict Outcome::verdict() const {
  switch (kind) {
    case Kind::kOk: return Verdict::kDone;
    case Kind::kRejected:
    case Kind::kTooLarge:
    case Kind::kRefused: return Verdict::kDead;
    case Kind::kBreakerOpen: return Verdict::kPostpone;
    default: return Verdict::kRetry;
  }
}

const std::string* Outcome::header(std::string_view name, size_t nth) const {
  for (const auto& [key, value] : headers) {
    if (same_name(key, name) && nth-- == 0) return &value;
  }
  return nullptr;
}

Outcome::Kind kind_of_status(int status) {
  if (status >= 200 && status < 300) return Outcome::Kind::kOk;
  if (status == 408 || status == 429 || status >= 500) return Outcome::Kind::kFailed;
  return Outcome::Kind::kRejected;
}

const char* to_text(Outcome::Kind kind) {
  constexpr const char* kNames[Outcome::kKinds] = {"ok",        "rejected", "failed",       "connect", "timeout",  "broken",
                                                   "too_large", "refused",  "breaker_open", "busy",    "cancelled"};
  return kNames[static_cast<size_t>(kind)];
}

std::optional<int64_t> parse_retry_after(std::string_view value, int64_t now_unix_ms) {
  constexpr size_t kLongestText = 64;
  while (value.starts_with(' ')) value.remove_prefix(1);
  while (value.ends_with(' ')) value.remove_suffix(1);
  if (value.empty() || value.size() > kLongestText) return std::nullopt;
  if (std::all_of(value.begin(), value.end(), [](char c) { return c >= '0' && c <= '9'; })) {
    uint64_t seconds = 0;
    auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), seconds);
    if (error != std::errc() || seconds > kLongestRetryAfterMs / 1000) return kLongestRetryAfterMs;
    return static_cast<int64_t>(seconds) * 1000;
  }
  // Only dates as HTTP has them: curl_getdate() takes "tomorrow"-like fragments as well ("12" is a day of this month).
  bool date = value.size() >= 24 && value.ends_with(" GMT");
  time_t at = date ? curl_getdate(std::string(value).c_str(), nullptr) : -1;
  if (at < 0) return std::nullopt;
  return std::clamp<int64_t>(static_cast<int64_t>(at) * 1000 - now_unix_ms, 0, kLongestRetryAfterMs);
}

}  // namespace postern::client
