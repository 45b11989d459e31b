// The Realtime API's messages: what the server says, and what is said to it (the GA shape; of the beta only the old names of events are
// understood). Source: OpenAI API reference "Realtime", client events and server events. Thread-safety: one thread at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "json_reader.h"

namespace openai_realtime {

// Views are good until the thread reads the next JSON.
struct ModelEvent {
  enum class Kind {
    kSessionCreated,
    kSessionUpdated,
    kSpeechStarted,
    kSpeechStopped,
    kAudioDelta,        // item_id, response_id, delta
    kOutputTranscript,  // item_id, transcript: what the model has said
    kInputTranscript,   // item_id, transcript: what the caller has said
    kItemDone,          // response.output_item.done: `object` has the item
    kResponseCreated,   // response_id
    kResponseDone,      // response_id; `object` has the response
    kError,
    kItemTruncated,  // item_id: the caller has interrupted what it says
    kAudioStarted,   // where OpenAI has the audio, by SIP: it is heard
    kAudioStopped,   // to its end, or cut off
    kOther,
  };
  Kind kind = Kind::kOther;
  std::string_view type, item_id, response_id, delta, transcript;
  simdjson::dom::object object = {};
};

// Nothing when it is no JSON object, or has no type.
std::optional<ModelEvent> read_model_event(std::string_view text);
// Ids are kept as long as what they stand for: longer ones are none.
inline constexpr size_t kMaxId = 256;
inline bool has_ids(const ModelEvent& event) { return event.item_id.size() <= kMaxId && event.response_id.size() <= kMaxId; }

// The function that the model wants to be run, in a kItemDone; nothing when the item is something else.
struct FunctionCall {
  std::string name, id, arguments;
};
std::optional<FunctionCall> function_call_in(const ModelEvent& event);

// What an `error` event says. Without the words of a key that OpenAI may quote.
struct ModelError {
  std::string type, code, message, event_id;
  // It tells that something came too late or was done already: nothing is wrong with the session.
  bool benign = false;
};
ModelError read_error(const ModelEvent& event);

// Client events. The views are good until the next call of the same writer.
class ModelWriter {
 public:
  std::string_view append(std::string_view base64);
  std::string_view truncate(std::string_view item_id, int64_t audio_end_ms);
  std::string_view cancel();
  std::string_view commit();
  std::string_view create_response();
  // What to say in it, for this once.
  std::string_view create_response(std::string_view instructions);
  // A message in the conversation. `role`: "user", "system" or "assistant".
  std::string_view create_message(std::string_view role, std::string_view text);
  std::string_view function_output(std::string_view call_id, std::string_view output);
  // `session_json`: an object.
  std::string_view update_session(std::string_view session_json);

 private:
  std::string text_;
};

// Of the session.update that a session begins with: what an error about it names.
inline constexpr std::string_view kFirstUpdate = "postern_session";

}  // namespace openai_realtime
