#include "session_update.h"

namespace openai_realtime {
namespace {

using nlohmann::json;

json tools_of(const Config& config) {
  json tools = json::array();
  for (const Tool& tool : config.tools) {
    tools.push_back({{"type", "function"}, {"name", tool.name}, {"description", tool.description}, {"parameters", tool.parameters}});
  }
  if (!config.end_call_tool.empty()) {
    tools.push_back({{"type", "function"},
                     {"name", config.end_call_tool},
                     {"description", "Ends the phone call. Use it after having said goodbye, when the caller wants nothing more."},
                     {"parameters", {{"type", "object"}, {"properties", json::object()}}}});
  }
  return tools;
}

json transfer_tool(const Sip& sip) {
  json names = json::array();
  for (const auto& [name, uri] : sip.transfer_to) names.push_back(name);
  return {{"type", "function"},
          {"name", kTransferTool},
          {"description", "Transfers the phone call to somebody else. Say so to the caller first; the call with you ends."},
          {"parameters", {{"type", "object"}, {"properties", {{"to", {{"type", "string"}, {"enum", names}}}}}, {"required", {"to"}}}}};
}

json format_of(const Config& config) {
  if (config.pcm) return {{"type", "audio/pcm"}, {"rate", 24'000}};
  return {{"type", "audio/pcmu"}};
}

void put(json& in, const char* name, const json& value) {
  if (!value.is_null()) in[name] = value;
}

json session_of(const Config& config, const Overrides& overrides) {
  const SessionOptions& options = config.session;
  json input = {{"format", format_of(config)}}, output = {{"format", format_of(config)}};
  put(input, "transcription", options.transcription);
  put(input, "noise_reduction", options.noise_reduction);
  put(input, "turn_detection", options.turn_detection);
  if (options.turn_detection_off) input["turn_detection"] = nullptr;
  const std::string& voice = overrides.voice.empty() ? options.voice : overrides.voice;
  if (!voice.empty()) output["voice"] = voice;
  if (options.speed != 0) output["speed"] = options.speed;
  json session = {{"type", "realtime"}, {"output_modalities", {"audio"}}, {"audio", {{"input", input}, {"output", output}}}};
  const std::string& instructions = overrides.instructions.empty() ? options.instructions : overrides.instructions;
  if (!instructions.empty()) session["instructions"] = instructions;
  if (json tools = tools_of(config); !tools.empty()) session["tools"] = std::move(tools);
  put(session, "tool_choice", options.tool_choice);
  put(session, "max_output_tokens", options.max_output_tokens);
  put(session, "truncation", options.truncation);
  return session;
}

std::string text_of(const json& session) { return session.dump(-1, ' ', false, json::error_handler_t::replace); }

std::string with_parameter(const std::string& url, const char* name, std::string_view value) {
  return url + (url.find('?') == std::string::npos ? "?" : "&") + name + "=" + percent_encoded(value);
}

}  // namespace

Overrides overrides_of(const std::vector<std::pair<std::string_view, std::string_view>>& parameters) {
  Overrides overrides;
  for (const auto& [name, value] : parameters) {
    if (name == "model") overrides.model = value;
    if (name == "voice") overrides.voice = value;
    if (name == "instructions") overrides.instructions = value;
    if (name == "greeting") overrides.greeting = value;
  }
  return overrides;
}

std::string percent_encoded(std::string_view text) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string encoded;
  for (unsigned char c : text) {
    const bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
    if (plain) {
      encoded += static_cast<char>(c);
    } else {
      encoded += {'%', kHex[c >> 4], kHex[c & 15]};
    }
  }
  return encoded;
}

std::string session_json(const Config& config, const Overrides& overrides) { return text_of(session_of(config, overrides)); }

std::string sip_session_json(const Config& config) {
  json session = session_of(config, {});
  session["model"] = config.session.model;
  session["audio"]["input"].erase("format");
  session["audio"]["output"].erase("format");
  if (!config.sip.transfer_to.empty()) session["tools"].push_back(transfer_tool(config.sip));
  return text_of(session);
}

std::vector<std::pair<std::string, std::string>> session_headers(const Config& config) {
  std::vector<std::pair<std::string, std::string>> headers = {{"Authorization", "Bearer " + config.api_key}};
  if (!config.organization.empty()) headers.emplace_back("OpenAI-Organization", config.organization);
  if (!config.project.empty()) headers.emplace_back("OpenAI-Project", config.project);
  return headers;
}

std::string control_url(const Config& config, std::string_view call_id) { return with_parameter(config.url, "call_id", call_id); }

std::string model_url(const Config& config, const Overrides& overrides) {
  const std::string& model = overrides.model.empty() ? config.session.model : overrides.model;
  return with_parameter(config.url, "model", model);
}

}  // namespace openai_realtime
