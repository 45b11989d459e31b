#include "model_events.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

namespace openai_realtime {
namespace {

using nlohmann::json;
using Kind = ModelEvent::Kind;

// The beta's names stand beside their successors.
constexpr std::pair<std::string_view, Kind> kKinds[] = {
    {"response.output_audio.delta", Kind::kAudioDelta},
    {"response.audio.delta", Kind::kAudioDelta},
    {"input_audio_buffer.speech_started", Kind::kSpeechStarted},
    {"input_audio_buffer.speech_stopped", Kind::kSpeechStopped},
    {"response.output_audio_transcript.done", Kind::kOutputTranscript},
    {"response.audio_transcript.done", Kind::kOutputTranscript},
    {"conversation.item.input_audio_transcription.completed", Kind::kInputTranscript},
    {"response.output_item.done", Kind::kItemDone},
    {"response.created", Kind::kResponseCreated},
    {"response.done", Kind::kResponseDone},
    {"session.created", Kind::kSessionCreated},
    {"session.updated", Kind::kSessionUpdated},
    {"error", Kind::kError},
    {"conversation.item.truncated", Kind::kItemTruncated},
    {"output_audio_buffer.started", Kind::kAudioStarted},
    {"output_audio_buffer.stopped", Kind::kAudioStopped},
    {"output_audio_buffer.cleared", Kind::kAudioStopped},
};

// Texts come from outside: what is no UTF-8 is replaced, and simdjson has checked what it has read.
std::string quoted(std::string_view text) { return json(text).dump(-1, ' ', false, json::error_handler_t::replace); }

// A key that is quoted, perhaps with stars in it, ends at the first character that no key has.
std::string without_keys(std::string_view text) {
  constexpr size_t kLongest = 300;
  std::string clean(text.substr(0, kLongest));
  for (size_t at = clean.find("sk-"); at != std::string::npos; at = clean.find("sk-", at + 3)) {
    const size_t end = clean.find_first_of(" ,;:\"'\n\t()", at);
    clean.replace(at, std::min(end, clean.size()) - at, "sk-…");
  }
  return clean;
}

}  // namespace

std::optional<ModelEvent> read_model_event(std::string_view text) {
  const auto root = read_object(text);
  if (!root) return std::nullopt;
  ModelEvent event;
  event.object = *root;
  event.type = string_in(*root, "type");
  if (event.type.empty()) return std::nullopt;
  for (const auto& [name, kind] : kKinds) {
    if (name == event.type) event.kind = kind;
  }
  event.item_id = string_in(*root, "item_id");
  event.response_id = string_in(*root, "response_id");
  if (event.kind == Kind::kAudioDelta) event.delta = string_in(*root, "delta");
  if (event.kind == Kind::kOutputTranscript || event.kind == Kind::kInputTranscript) event.transcript = string_in(*root, "transcript");
  if (event.kind == Kind::kResponseCreated || event.kind == Kind::kResponseDone) {
    if (const auto response = object_in(*root, "response")) event.response_id = string_in(*response, "id");
  }
  return event;
}

std::optional<FunctionCall> function_call_in(const ModelEvent& event) {
  const auto item = object_in(event.object, "item");
  if (!item || string_in(*item, "type") != "function_call") return std::nullopt;
  return FunctionCall{std::string(string_in(*item, "name")), std::string(string_in(*item, "call_id")), std::string(string_in(*item, "arguments"))};
}

ModelError read_error(const ModelEvent& event) {
  static constexpr std::array<std::string_view, 3> kBenign = {"response_cancel_not_active", "conversation_already_has_active_response",
                                                               "input_audio_buffer_commit_empty"};
  ModelError error;
  const auto inner = object_in(event.object, "error");
  if (!inner) return error;
  constexpr size_t kLongest = 100;
  error.type = string_in(*inner, "type").substr(0, kLongest);
  error.code = string_in(*inner, "code").substr(0, kLongest);
  error.message = without_keys(string_in(*inner, "message"));
  error.event_id = string_in(*inner, "event_id");
  error.benign = std::find(kBenign.begin(), kBenign.end(), error.code) != kBenign.end();
  return error;
}

std::string_view ModelWriter::append(std::string_view base64) {
  text_.assign(R"({"type":"input_audio_buffer.append","audio":")").append(base64).append(R"("})");
  return text_;
}

std::string_view ModelWriter::truncate(std::string_view item_id, int64_t audio_end_ms) {
  text_ = R"({"type":"conversation.item.truncate","item_id":)" + quoted(item_id) + R"(,"content_index":0,"audio_end_ms":)" +
          std::to_string(audio_end_ms) + "}";
  return text_;
}

std::string_view ModelWriter::cancel() { return R"({"type":"response.cancel"})"; }
std::string_view ModelWriter::commit() { return R"({"type":"input_audio_buffer.commit"})"; }
std::string_view ModelWriter::create_response() { return R"({"type":"response.create"})"; }

std::string_view ModelWriter::create_response(std::string_view instructions) {
  text_ = R"({"type":"response.create","response":{"instructions":)" + quoted(instructions) + "}}";
  return text_;
}

std::string_view ModelWriter::create_message(std::string_view role, std::string_view text) {
  const char* kind = role == "assistant" ? "output_text" : "input_text";
  text_ = R"({"type":"conversation.item.create","item":{"type":"message","role":)" + quoted(role) + R"(,"content":[{"type":")" + kind +
          R"(","text":)" + quoted(text) + "}]}}";
  return text_;
}

std::string_view ModelWriter::function_output(std::string_view call_id, std::string_view output) {
  text_ = R"({"type":"conversation.item.create","item":{"type":"function_call_output","call_id":)" + quoted(call_id) + R"(,"output":)" +
          quoted(output) + "}}";
  return text_;
}

std::string_view ModelWriter::update_session(std::string_view session_json) {
  text_ = R"({"type":"session.update","event_id":")" + std::string(kFirstUpdate) + R"(","session":)" + std::string(session_json) + "}";
  return text_;
}

}  // namespace openai_realtime
