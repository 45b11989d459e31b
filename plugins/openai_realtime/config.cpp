#include "config.h"

#include <algorithm>
#include <postern/unknown_key.hpp>

namespace openai_realtime {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr size_t kMaxTools = 64;

void read_object(Section& in, const char* name, json& value, bool or_text = false) {
  const json* found = in.any(name);
  if (found == nullptr || found->is_null()) return;
  if (found->is_object() || (or_text && found->is_string())) {
    value = *found;
  } else {
    in.fault(name, or_text ? "must be a text or a mapping" : "must be a mapping");
  }
}

void read_turn_detection(Section& in, SessionOptions& session) {
  const json* found = in.any("turn_detection");
  if (found == nullptr) return;
  if (found->is_null() || *found == "none") {
    session.turn_detection_off = true;
    session.server_interrupts = false;
    return;
  }
  const json type = found->is_object() ? found->value("type", json()) : json();
  if (type != "server_vad" && type != "semantic_vad") return in.fault("turn_detection", "must be none, or a mapping whose type is server_vad or semantic_vad");
  session.turn_detection = *found;
  session.server_interrupts = found->value("interrupt_response", json(true)) != json(false);
}

void read_session(Section in, SessionOptions& session) {
  in.read("model", session.model, 200);
  in.read("voice", session.voice, 200);
  in.read("instructions", session.instructions);
  in.read("speed", session.speed, 0.25, 1.5);
  read_turn_detection(in, session);
  read_object(in, "transcription", session.transcription);
  std::string noise;
  in.read_choice("noise_reduction", noise, {"near_field", "far_field"});
  if (!noise.empty()) session.noise_reduction = {{"type", noise}};
  read_object(in, "tool_choice", session.tool_choice, true);
  read_object(in, "truncation", session.truncation, true);
  if (const json* most = in.any("max_output_tokens")) {
    const bool fits = *most == "inf" || (most->is_number_integer() && *most >= 1 && *most <= 4096);
    fits ? session.max_output_tokens = *most : (in.fault("max_output_tokens", "must be from 1 to 4096, or inf"), json());
  }
  in.finish();
}

Tool read_tool(Section in) {
  Tool tool;
  in.read("name", tool.name, 64);
  if (!postern::is_name(tool.name)) in.fault("name", "must be 1 to 64 letters, digits, '_' and '-'");
  in.read("description", tool.description, 4 << 10);
  read_object(in, "parameters", tool.parameters);
  if (tool.parameters.is_null()) tool.parameters = {{"type", "object"}, {"properties", json::object()}};
  in.read("url", tool.url, 2048);
  in.read("service", tool.service, 64);
  if (tool.url.empty() == tool.service.empty()) in.fault("", "a tool has either a url, which is asked by POST, or a service of another plugin");
  if (!tool.url.empty() && !tool.url.starts_with("https://") && !tool.url.starts_with("http://")) in.fault("url", "must begin with https:// or http://");
  in.read("deadline", tool.deadline, milliseconds(100), minutes(2));
  in.finish();
  return tool;
}

void read_tools(Section& in, Config& config, const ReportFault& report) {
  const json* list = in.any("tools");
  if (list == nullptr) return;
  if (!list->is_array() || list->size() > kMaxTools) return in.fault("tools", "must be a list of at most 64 mappings");
  for (size_t i = 0; i < list->size(); ++i) {
    Tool tool = read_tool(Section((*list)[i], in.pointer() + "/tools/" + std::to_string(i), report));
    const bool twice = std::any_of(config.tools.begin(), config.tools.end(), [&](const Tool& other) { return other.name == tool.name; });
    if (twice || tool.name == config.end_call_tool || (tool.name == kTransferTool && !config.sip.transfer_to.empty())) report(in.pointer() + "/tools/" + std::to_string(i) + "/name", "another tool has this name");
    config.tools.push_back(std::move(tool));
  }
}

void read_costs(Section& in, Config& config, const ReportFault& report) {
  const json* models = in.any("costs");
  if (models == nullptr) return;
  if (!models->is_object()) return in.fault("costs", "must be a mapping from models to the prices of a million tokens");
  for (const auto& [model, prices] : models->items()) {
    Section section(prices, in.pointer() + "/costs" + postern::pointer_to(model), report);
    Costs& costs = config.costs[model];
    for (auto [name, price] : {std::pair("input_text", &costs.input_text), std::pair("input_audio", &costs.input_audio),
                               std::pair("cached_input", &costs.cached_input), std::pair("output_text", &costs.output_text),
                               std::pair("output_audio", &costs.output_audio)}) {
      section.read(name, *price, 0, 1e6);
    }
    section.finish();
  }
}

void read_media_streams(Section in, bool there, MediaStreams& streams) {
  streams.enabled = there;
  in.read("signed_by", streams.signed_by, 200);
  if (streams.signed_by.find(':') == std::string::npos) streams.signed_by += ":" + streams.signed_by;
  std::string token = "required";
  in.read_choice("token", token, {"required", "optional"});
  streams.token_required = token == "required";
  in.finish();
}

}  // namespace

Config read_config(std::string_view text, const ReportFault& report) {
  Config config;
  const json root = json::parse(text, nullptr, false);
  if (root.is_discarded()) {
    report("", "config must be a mapping");
    return config;
  }
  Section in(root, "", report);
  in.read("enabled", config.enabled);
  in.read("api_key", config.api_key, 4096);
  if (config.enabled && config.api_key.empty() && !in.has("api_key")) in.fault("", "api_key is needed (or enabled: false)");
  in.read("organization", config.organization, 200);
  in.read("project", config.project, 200);
  in.read("url", config.url, 2048);
  if (!postern::is_safe_url(config.url, "ws")) in.fault("url", "must begin with wss:// (ws:// only for this machine: the API key goes over it)");
  in.read("ca_file", config.ca_file, 4096);
  in.read("proxy", config.proxy, 2048);
  read_session(in.section("session"), config.session);
  std::string audio = "pcmu";
  in.read_choice("audio", audio, {"pcmu", "pcm"});
  config.pcm = audio == "pcm";
  in.read("greeting", config.greeting, 8 << 10);
  in.read("fallback", config.fallback, 4000);
  if (!config.fallback.empty() && config.fallback.find("<Response") == std::string::npos) in.fault("fallback", "must be TwiML: <Response>…</Response>");
  bool ends_calls = true;
  in.read("model_may_end_call", ends_calls);
  if (!ends_calls) config.end_call_tool.clear();
  in.read("connect_timeout", config.connect_timeout, milliseconds(100), seconds(30));
  in.read("silence_timeout", config.silence_timeout, milliseconds(200), minutes(1));
  in.read("renew_after", config.renew_after, seconds(1), minutes(59));
  read_media_streams(in.section("media_streams"), in.has("media_streams"), config.media_streams);
  read_sip(in.section("sip"), in.has("sip"), config.sip);
  read_tools(in, config, report);
  read_costs(in, config, report);
  in.read("currency", config.currency, 8);
  bool connects = false;
  in.section("health").read("connect", connects);
  config.health_connects = connects;
  in.finish();
  return config;
}

}  // namespace openai_realtime
