#include "voice_service.h"

#include <openssl/rand.h>

#include "base64.h"
#include "voice_session.h"

namespace openai_realtime {
namespace {

using nlohmann::json;
using postern::ServiceError;
using std::chrono::milliseconds;

constexpr size_t kMaxSessions = 100;
constexpr milliseconds kLongestWait{9'000};

[[noreturn]] void refuse(postern_status status, const std::string& why) { throw ServiceError(status, why); }

std::string text_in(const json& request, const char* name) {
  const auto found = request.find(name);
  return found != request.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::string random_id() {
  unsigned char bytes[16];
  if (RAND_bytes(bytes, sizeof bytes) != 1) refuse(POSTERN_E_INTERNAL, "there is no randomness");
  std::string id = "vs_";
  for (unsigned char byte : bytes) id += {"0123456789abcdef"[byte >> 4], "0123456789abcdef"[byte & 15]};
  return id;
}

void send(VoiceSession& session, std::string_view event) {
  if (!session.send(event)) refuse(POSTERN_E_STATE, "the session is not connected: " + session.why());
}

std::string fetch(VoiceSession& session, const json& request, milliseconds within) {
  const json wait = request.value("wait_ms", json(0));
  const int64_t asked = wait.is_number_integer() ? std::clamp<int64_t>(wait.get<int64_t>(), 0, kLongestWait.count()) : 0;
  const VoiceSession::Fetched fetched = session.fetch(std::min(milliseconds(asked), within));
  std::string answer = R"({"events":[)";
  for (const std::string& event : fetched.events) answer.append(answer.ends_with('[') ? "" : ",").append(event);
  return answer + R"(],"dropped":)" + std::to_string(fetched.dropped) + R"(,"open":)" + (fetched.open ? "true" : "false") + "}";
}

}  // namespace

std::string VoiceService::serve(postern::ServiceCall& call) {
  const std::string_view method = call.method();
  const json request = json::parse(call.request(), nullptr, false);
  if (!request.is_object()) refuse(POSTERN_E_INVALID, "the request is no JSON object");
  if (method == "token") {
    const std::string call_sid = text_in(request, "call_sid");
    if (call_sid.empty()) refuse(POSTERN_E_INVALID, "token: a call_sid is needed");
    return json({{"token", shared_.tokens.make(call_sid, unix_ms())}}).dump();
  }
  if (method == "connect") return connect(request, call.remaining());
  const auto session = find(request);
  if (method == "close") {
    if (session) session->close();
    return "{}";
  }
  ModelWriter writer;
  const bool known = method == "send_audio_pcm16" || method == "send_pcm16" || method == "commit_audio" || method == "create_response" || method == "events";
  if (!known) refuse(POSTERN_E_INVALID, "postern.voice/1 has no method " + std::string(method));
  if (!session) refuse(POSTERN_E_STATE, "the session is not connected: there is none of this id; connect first");
  if (method == "events") return fetch(*session, request, call.remaining());
  if (method == "commit_audio") {
    send(*session, writer.commit());
  } else if (method == "create_response") {
    const std::string instructions = text_in(request, "instructions");
    send(*session, instructions.empty() ? writer.create_response() : writer.create_response(instructions));
  } else {
    const std::string audio = text_in(request, "audio");
    if (base64_size(audio).value_or(0) == 0) refuse(POSTERN_E_INVALID, "audio must be base64 of 16-bit samples, little-endian, 24 kHz, mono");
    if (*base64_size(audio) % 2 != 0) refuse(POSTERN_E_INVALID, "audio ends with half a sample");
    send(*session, writer.append(audio));
  }
  return "{}";
}

std::string VoiceService::connect(const json& request, milliseconds within) {
  const Overrides overrides{text_in(request, "model"), text_in(request, "voice"), text_in(request, "instructions"), {}};
  Config config = shared_.config;
  config.pcm = true;
  config.tools.clear();
  config.end_call_tool.clear();
  const std::string url = model_url(config, overrides), id = random_id();
  auto session = std::make_shared<VoiceSession>(shared_.sessions, session_json(config, overrides));
  {
    const std::lock_guard lock(mutex_);
    forget_closed();
    if (sessions_.size() >= kMaxSessions) refuse(POSTERN_E_LIMIT, "there are 100 sessions already; close some");
    sessions_.emplace(id, session);
  }
  postern::ConnectOptions options{.url = url, .headers = session_headers(config), .ca_file = config.ca_file, .proxy = config.proxy,
                                  .connect = std::min(within, milliseconds(5'000)), .limits = {.max_queued = VoiceSession::kMaxQueued}};
  try {
    session->connect(options);
  } catch (const postern::Error& error) {
    const std::lock_guard lock(mutex_);
    sessions_.erase(id);
    refuse(error.status(), error.what());
  }
  if (session->wait_until_ready(within)) return json({{"session_id", id}}).dump();
  const std::string why = session->why();
  session->close();
  throw postern::Retry("the session could not be set up: " + why);
}

std::shared_ptr<VoiceSession> VoiceService::find(const json& request) {
  const std::lock_guard lock(mutex_);
  const auto found = sessions_.find(text_in(request, "session_id"));
  return found == sessions_.end() ? nullptr : found->second;
}

// With the mutex held.
void VoiceService::forget_closed() {
  std::erase_if(sessions_, [](const auto& one) { return one.second->is_closed(); });
}

}  // namespace openai_realtime
