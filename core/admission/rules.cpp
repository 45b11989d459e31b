#include "core/admission/rules.h"

#include <algorithm>

namespace postern::admission {
namespace {

// "application/json; charset=utf-8" → "application/json"
std::string_view media_type(std::string_view value) {
  value = value.substr(0, value.find(';'));
  while (!value.empty() && (value.back() == ' ' || value.back() == '\t')) value.remove_suffix(1);
  return value;
}

bool right_content_type(const http::Request& head, const std::vector<std::string>& wanted) {
  if (wanted.empty()) return true;
  if (head.count("content-type") != 1) return false;
  std::string_view type = media_type(*head.header("content-type"));
  return std::any_of(wanted.begin(), wanted.end(), [&](const std::string& w) { return http::equals_ignoring_case(w, type); });
}

}  // namespace

http::Response too_many_requests(int64_t seconds) {
  http::Response response = http::Response::error(429, "too many requests");
  response.headers.emplace_back("Retry-After", std::to_string(seconds));
  return response;
}

// One client that asks for too much is refused before it uses up the rate of all.
std::optional<Rules::Refused> Rules::refuse(const http::Request& head, const std::string& client, int64_t now_us) const {
  auto unfit = [](const char* why) { return Refused{Why::kContentType, http::Response::error(415, why)}; };
  if (!allow.empty() && !allow.contains(client)) {
    return Refused{Why::kAddress, http::Response::error(403, "this address is not allowed here")};
  }
  if (rate_per_client) {
    if (int64_t seconds = rate_per_client->take(client, now_us); seconds > 0) return Refused{Why::kClientRate, too_many_requests(seconds)};
  }
  if (rate) {
    if (int64_t seconds = rate->look(now_us); seconds > 0) return Refused{Why::kRate, too_many_requests(seconds)};
  }
  // A signature covers the bytes that were sent; an encoded body would be other bytes than its JSON.
  for (size_t n = 0; auto encoding = head.header("content-encoding", n); ++n) {
    if (!http::equals_ignoring_case(*encoding, "identity")) return unfit("encoded bodies are not accepted");
  }
  if (!right_content_type(head, content_types)) return unfit("this content type is not accepted");
  return std::nullopt;
}

std::optional<Rules::Refused> Rules::refuse_verified(int64_t now_us) const {
  const int64_t seconds = rate ? rate->take(now_us) : 0;
  if (seconds == 0) return std::nullopt;
  return Refused{Why::kRate, too_many_requests(seconds)};
}

}  // namespace postern::admission
