// Config: the plugin's `config:`, checked. Every fault is reported, with its place. Thread-safety: plain values.
#pragma once

#include <chrono>
#include <map>
#include <nlohmann/json.hpp>
#include <postern/section.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace openai_realtime {

using postern::ReportFault;
using postern::Section;

// What a session is asked to be: openai.md §2. Null where it is left out, so that the API's own default stands.
struct SessionOptions {
  std::string model = "gpt-realtime";
  std::string voice, instructions;
  double speed = 0;  // 0: the API's
  nlohmann::json turn_detection, transcription, noise_reduction, tool_choice, max_output_tokens, truncation;
  bool turn_detection_off = false;
  bool server_interrupts = true;  // it cancels its own response when the caller speaks
};

struct Tool {
  std::string name, description;
  nlohmann::json parameters;
  std::string url;      // asked by POST, or
  std::string service;  // another plugin's, "calendar/1", by the method `name`
  std::chrono::milliseconds deadline{8'000};
};

// Prices of one million tokens.
struct Costs {
  double input_text = 0, input_audio = 0, cached_input = 0, output_text = 0, output_audio = 0;
};

struct MediaStreams {
  bool enabled = false;
  std::string signed_by = "twilio:twilio";  // PLUGIN:SCHEME
  bool token_required = true;
};

// Calls that OpenAI has by SIP itself.
struct Sip {
  bool enabled = false;
  std::vector<std::string> webhook_secrets;
  bool accept = true;
  int reject_status = 486;  // of SIP: busy
  std::string api_url = "https://api.openai.com/v1";
  std::map<std::string, std::string> transfer_to;  // addresses by names
};
// The tool of a call by SIP, where transfer_to has any.
inline constexpr const char* kTransferTool = "transfer_call";

struct Config {
  bool enabled = true;
  std::string api_key, organization, project;
  std::string url = "wss://api.openai.com/v1/realtime";
  std::string ca_file, proxy;
  SessionOptions session;
  bool pcm = false;  // 24 kHz towards the model, in place of the caller's own format
  std::string greeting;
  std::string fallback;  // TwiML
  std::string end_call_tool = "end_call";  // "": the model cannot hang up
  std::chrono::milliseconds connect_timeout{1'100}, silence_timeout{500}, renew_after{55 * 60'000};
  MediaStreams media_streams;
  Sip sip;
  std::vector<Tool> tools;
  std::map<std::string, Costs> costs;  // by model
  std::string currency = "USD";
  bool health_connects = false;
};

void read_sip(Section in, bool there, Sip& sip);
Config read_config(std::string_view json, const ReportFault& report);

}  // namespace openai_realtime
