// SipApi: what OpenAI is asked about a call that it has received by SIP. Source: OpenAI docs "Realtime API with SIP".
// Thread-safety: any thread.
#pragma once

#include <functional>
#include <postern/plugin.hpp>
#include <string>
#include <string_view>

#include "config.h"

namespace openai_realtime {

// "rtc_" and letters, digits, '_' and '-': what a path can have as it is.
bool is_sip_call_id(std::string_view text);

// Whether a status of HTTP is about the call: not about the key, the rate or the server.
bool refuses_for_good(uint32_t status);

class SipApi {
 public:
  using Told = std::function<void(const postern::ClientResponse&)>;

  // In init: declares the upstream "sip".
  SipApi(const Config& config, postern::Setup& setup);

  // These wait.
  postern::ClientResponse accept(const postern::Delivery& delivery, std::string_view call_id, std::string_view session_json) const;
  postern::ClientResponse reject(const postern::Delivery& delivery, std::string_view call_id) const;
  postern::ClientResponse hang_up(std::string_view call_id, std::chrono::milliseconds deadline) const;
  postern::ClientResponse refer(std::string_view call_id, std::string_view target_uri, std::chrono::milliseconds deadline) const;

  // These do not: `told` runs later, on another thread. Nothing is thrown.
  // Whether it has worked is only logged.
  void hang_up_soon(std::string_view call_id) const;
  // `failed`, in place of `told`: it could not even be asked.
  void refer_soon(std::string_view call_id, std::string_view target_uri, Told told, std::function<void()> failed) const;

 private:
  template <typename Send>
  auto ask(std::string_view call_id, const char* what, std::string_view body, Send send) const;

  const Config& config_;
  postern::Log log_;
  postern::Upstream upstream_;
};

}  // namespace openai_realtime
