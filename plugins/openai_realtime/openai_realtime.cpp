// The plugin as a table: routes, handlers, health. What they do is in the other files.
#include <nlohmann/json.hpp>
#include <optional>
#include <postern/plugin.hpp>

#include "call.h"
#include "config.h"
#include "health_probe.h"
#include "sip_desk.h"
#include "tool_runner.h"
#include "voice_service.h"

namespace openai_realtime {
namespace {

using nlohmann::json;
using postern::Delivery;
using postern::Handshake;

constexpr const char* kMediaStreams[] = {"/api/v1/voice/media-stream", "/api/calls/{call_id}/ws/twilio-media"};
constexpr uint64_t kMaxCallerMessage = 2 << 20;

class OpenAiRealtime final : public postern::Plugin {
 public:
  void init(postern::Setup& setup, std::string_view config_json) override {
    config_ = read_config(config_json, [&](auto pointer, auto text) { setup.config_fault(pointer, text); });
    setup.on("voice.tool.called", [this](Delivery& delivery) { return tools_->run(delivery); });
    setup.on("voice.call.fallback", [this](Delivery& delivery) { return run_fallback(delivery, calls_); });
    setup.on("voice.call.completed", &OpenAiRealtime::keep_call);
    setup.health("openai_realtime", [this] { return health(); });
    tools_.emplace(config_, setup);
    calls_ = setup.acquire_optional("twilio.calls/1");
    shared_.emplace(config_, setup);
    if (!config_.enabled) return;
    voice_.emplace(*shared_);
    setup.publish("postern.voice/1", &OpenAiRealtime::serve);
    if (config_.media_streams.enabled) register_streams(setup);
    if (config_.sip.enabled) register_sip(setup);
  }

 private:
  void register_streams(postern::Setup& setup) {
    for (const char* path : kMediaStreams) {
      setup.websocket({.path = path, .schemes = {{config_.media_streams.signed_by, ""}}}, [this](Handshake& handshake) {
        handshake.accept(Call::make(*shared_, handshake.path_parameter("call_id").value_or("")),
                         {.max_message = kMaxCallerMessage, .max_queued = Call::kCallerQueue});
      });
    }
  }

  std::string serve(postern::ServiceCall& call) {
    if (sip_) {
      if (auto answer = sip_->serve(call)) return *answer;
    }
    return voice_->serve(call);
  }

  void register_sip(postern::Setup& setup) {
    sip_.emplace(*shared_, setup);
    setup.on("realtime.call.incoming", [this](Delivery& delivery) { return sip_->on_incoming(delivery); });
  }

  void keep_call(Delivery& delivery) {
    const json body = json::parse(delivery.body(), nullptr, false);
    if (!body.is_object() || body.value("call_sid", "").empty()) throw postern::Dead("its body is not as this plugin writes it");
    const std::string key = body.value("call_sid", "");
    const postern::Record before = delivery.get("calls", key);
    delivery.put("calls", key, delivery.body(), before.version);
    delivery.set_result(json({{"call_sid", key}}).dump());
  }

  postern::Health health() const {
    if (!config_.enabled) return {postern::Health::kConfigured, "switched off: enabled is false", {}};
    const json details = {{"model", config_.session.model}, {"calls", shared_->active.size()}, {"media_streams", config_.media_streams.enabled},
                          {"sip", config_.sip.enabled}};
    if (!config_.health_connects) return {postern::Health::kConfigured, "an API key is set; health.connect: true tries it", details.dump()};
    postern::Health health = probe(config_, shared_->sessions);
    health.details_json = details.dump();
    return health;
  }

  Config config_;
  postern::Service calls_;
  std::optional<ToolRunner> tools_;
  std::optional<Shared> shared_;
  std::optional<SipDesk> sip_;
  std::optional<VoiceService> voice_;
};

}  // namespace
}  // namespace openai_realtime

POSTERN_PLUGIN(openai_realtime::OpenAiRealtime, "openai_realtime", POSTERN_PLUGIN_VERSION, POSTERN_EXT_ROUTES, POSTERN_EXT_EVENTS,
               POSTERN_EXT_RECORDS, POSTERN_EXT_HTTP, POSTERN_EXT_TIMERS, POSTERN_EXT_WEBSOCKET);
