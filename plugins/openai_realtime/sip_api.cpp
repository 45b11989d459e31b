#include "sip_api.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "session_update.h"

namespace openai_realtime {
namespace {

using nlohmann::json;
using postern::ClientRequest;
using postern::ClientResponse;
using std::chrono::milliseconds;

constexpr size_t kMaxCallId = 200;
constexpr milliseconds kAttempt{5'000}, kDeadline{10'000}, kRetryBase{250};  // a caller hears it ring meanwhile

std::string refer_body(std::string_view target_uri) { return json({{"target_uri", target_uri}}).dump(); }

}  // namespace

bool is_sip_call_id(std::string_view text) {
  constexpr std::string_view kPrefix = "rtc_";
  return text.size() > kPrefix.size() && text.size() <= kMaxCallId && text.starts_with(kPrefix) &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isalnum(c) != 0 || c == '_' || c == '-'; });
}

bool refuses_for_good(uint32_t status) {
  return status >= 400 && status < 500 && status != 401 && status != 403 && status != 408 && status != 429;
}

SipApi::SipApi(const Config& config, postern::Setup& setup) : config_(config), log_(setup.log()) {
  upstream_ = setup.upstream({.name = "sip",
                              .base_url = config.sip.api_url,
                              .ca_file = config.ca_file,
                              .retry_base = kRetryBase,
                              .attempt = kAttempt,
                              .deadline = kDeadline});
}

template <typename Send>
auto SipApi::ask(std::string_view call_id, const char* what, std::string_view body, Send send) const {
  const std::string url = "/realtime/calls/" + percent_encoded(call_id) + "/" + what;
  ClientRequest request{.method = "POST", .url = url, .body = body};
  request.headers.emplace_back("Authorization", "Bearer " + config_.api_key);
  if (!config_.organization.empty()) request.headers.emplace_back("OpenAI-Organization", config_.organization);
  if (!config_.project.empty()) request.headers.emplace_back("OpenAI-Project", config_.project);
  if (!body.empty()) request.headers.emplace_back("Content-Type", "application/json");
  return send(request);
}

ClientResponse SipApi::accept(const postern::Delivery& delivery, std::string_view call_id, std::string_view session_json) const {
  return ask(call_id, "accept", session_json, [&](const ClientRequest& request) { return upstream_.call(delivery, request); });
}

ClientResponse SipApi::reject(const postern::Delivery& delivery, std::string_view call_id) const {
  const std::string body = json({{"status_code", config_.sip.reject_status}}).dump();
  return ask(call_id, "reject", body, [&](const ClientRequest& request) { return upstream_.call(delivery, request); });
}

ClientResponse SipApi::hang_up(std::string_view call_id, milliseconds deadline) const {
  return ask(call_id, "hangup", {}, [&](ClientRequest& request) {
    request.deadline = std::min(deadline, kDeadline);
    return upstream_.call(request);
  });
}

ClientResponse SipApi::refer(std::string_view call_id, std::string_view target_uri, milliseconds deadline) const {
  return ask(call_id, "refer", refer_body(target_uri), [&](ClientRequest& request) {
    request.deadline = std::min(deadline, kDeadline);
    return upstream_.call(request);
  });
}

void SipApi::hang_up_soon(std::string_view call_id) const {
  auto failed = [log = log_, id = std::string(call_id)](std::string_view why) {
    log.warn("call " + id + ": it could not be hung up: " + std::string(why));
  };
  try {
    ask(call_id, "hangup", {}, [&](const ClientRequest& request) {
      return upstream_.send(request, [failed](const ClientResponse& answer) {
        if (!answer.ok()) failed(answer.error());
      });
    });
  } catch (const std::exception& error) {
    failed(error.what());
  }
}

void SipApi::refer_soon(std::string_view call_id, std::string_view target_uri, Told told, std::function<void()> failed) const {
  try {
    ask(call_id, "refer", refer_body(target_uri), [&](const ClientRequest& request) { return upstream_.send(request, told); });
  } catch (const std::exception& error) {
    log_.warn("call " + std::string(call_id) + ": it could not be transferred: " + error.what());
    failed();
  }
}

}  // namespace openai_realtime
