// What other plugins may ask: the service postern.voice/1. `token` shows a stream's call; the others are a Realtime session without a phone
// call, in 24 kHz PCM16. Requests and answers are JSON:
//
//   token            {"call_sid"}                             → {"token"}
//   connect          {"model"?, "voice"?, "instructions"?}    → {"session_id"}            waits until the session is set up
//   send_audio_pcm16 {"session_id", "audio": base64}          → {}                        send_pcm16 is the same
//   commit_audio     {"session_id"}                           → {}
//   create_response  {"session_id", "instructions"?}          → {}
//   events           {"session_id", "wait_ms"?}               → {"events": […], "dropped", "open"}
//   close            {"session_id"}                           → {}                        twice is fine
//
// Its methods "hangup" and "refer" are SipDesk's.
//
// Thread-safety: any thread.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <postern/plugin.hpp>
#include <string>

#include "call.h"

namespace openai_realtime {

class VoiceSession;

class VoiceService {
 public:
  explicit VoiceService(Shared& shared) : shared_(shared) {}

  // Throws ServiceError for what the caller shall hear.
  std::string serve(postern::ServiceCall& call);

 private:
  std::string connect(const nlohmann::json& request, std::chrono::milliseconds within);
  std::shared_ptr<VoiceSession> find(const nlohmann::json& request);
  void forget_closed();

  Shared& shared_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<VoiceSession>> sessions_;  // by their ids
};

}  // namespace openai_realtime
