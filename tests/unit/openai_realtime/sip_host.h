// What the tests of calls by SIP share: the configuration, the webhook, OpenAI's API. Thread-safety: one test at a time.
#pragma once

#include <chrono>

#include "voice_host.h"

namespace voice_test {

using postern::testing::ServiceAnswered;
using postern::testing::Settled;

inline constexpr const char* kRtc = "rtc_0123456789abcdef";
// The public vector of openai-node's tests of webhooks.
inline constexpr const char* kSecret = "whsec_RdvaYFYUXuIFuEbvZHwMfYFhUf7aMYjYcmM24+Aj40c=";

inline json sip_config() {
  json config = base_config();
  config.erase("media_streams");
  config["greeting"] = "Say hello.";
  config["sip"] = {{"webhook_secrets", {kSecret}}};
  return config;
}

inline json with_targets() {
  json config = sip_config();
  config["sip"]["transfer_to"] = {{"sales", "tel:+14155550111"}, {"support", "sip:support@example.com"}};
  return config;
}

inline json incoming(const std::string& call_id = kRtc, int64_t age_s = 0) {
  const auto now = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  return {{"id", "evt_1"},
          {"object", "event"},
          {"created_at", now - age_s},
          {"type", "realtime.call.incoming"},
          {"data",
           {{"call_id", call_id},
            {"sip_headers",
             {{{"name", "From"}, {"value", "\"Alice <x>\" <sip:+14155550123@sip.example.com;user=phone>;tag=1"}},
              {{"name", "TO"}, {"value", "sip:office@sip.example.com;transport=tls"}},
              {{"name", "Call-ID"}, {"value", "abc@sip.example.com"}}}}}}};
}

class Sip : public VoiceTest {
 protected:
  Settled deliver(const json& body = incoming()) { return host_->deliver({.type = "realtime.call.incoming", .body = body.dump()}); }
  // A call that is accepted and controlled: model_ is its session.
  void begin(const json& config = sip_config()) {
    start(config);
    host_->answer("sip", {.status = 200});
    const Settled settled = deliver();
    ASSERT_TRUE(settled.done()) << settled.why;
    ASSERT_THAT(host_->sessions(), ::testing::SizeIs(1));
    model_ = 1;
    host_->open(model_);
    hears_first_ = from_model();
  }
  void call_tool(const std::string& name, const std::string& arguments = "{}", const std::string& id = "call_1") {
    model({{"type", "response.output_item.done"}, {"response_id", "resp_1"},
           {"item", {{"type", "function_call"}, {"id", "item_f"}, {"name", name}, {"call_id", id}, {"arguments", arguments}}}});
  }
  void audio(const char* what) { model({{"type", std::string("output_audio_buffer.") + what}, {"response_id", "resp_1"}}); }
  std::vector<std::string> asked() const {
    std::vector<std::string> lines;
    for (const auto& request : host_->outbound()) lines.push_back(request.method + " " + request.url + " " + request.body);
    return lines;
  }
  std::string last_asked() const { return asked().empty() ? "" : asked().back(); }
  json completed() { return published("voice.call.completed").at(0); }
};

inline std::string path(const std::string& what) { return std::string("POST /realtime/calls/") + kRtc + "/" + what + " "; }

}  // namespace voice_test
