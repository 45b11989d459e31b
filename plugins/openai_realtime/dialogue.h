// Dialogue: what is the same in every call with the model, however its audio goes. One response at a time is asked for, and tools are run
// and answered: what the model asks for becomes an event, whose handler may take its time on another thread and has effects exactly once;
// its result lies in a mailbox until the call's session is woken, and goes back to the model from there.
// Thread-safety: the call's thread, but for the answers of expect().
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <postern/plugin.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "conversation.h"
#include "meters.h"
#include "model_events.h"
#include "shared.h"

namespace openai_realtime {

class Dialogue {
 public:
  struct Party {
    std::string call_sid, from, to;
  };
  // What a tool's result is told by, on any thread, once.
  using Answer = std::function<void(std::string output, ToolOutcome outcome)>;

  Dialogue(Shared& shared, Conversation& conversation) : shared_(shared), conversation_(conversation) {}

  // First of all: whose call it is.
  void begin(Party party) { party_ = std::move(party); }
  // The session that is woken when a tool has answered: it calls on_woken().
  void wake(uint64_t session);
  // The model's session, in which it goes on; what went on in the one before is over. Without one nothing is said to the model. `fresh`: it
  // knows nothing of what was asked for in the one before.
  void attach(postern::Session model, bool fresh = true);
  void detach();

  void on_response_created(const ModelEvent& event);
  void on_response_done(const ModelEvent& event);
  void on_error(const ModelError& error);
  // Without a model's session the answers wait for the next.
  void on_woken();

  // The next response, when the one before has ended and all tools have answered.
  void want_response();
  bool responding() const { return !active_response_.empty(); }
  bool idle() const { return !responding() && !asked_ && pending_ == 0; }

  // One of config.tools; the model is told when there is no such.
  void run_tool(const FunctionCall& asked);
  // For a tool that is run elsewhere: the model waits for its answer. `last_word`: where it succeeds, nothing is to be said any more.
  Answer expect(const FunctionCall& asked, bool last_word = false);
  void refuse(const FunctionCall& asked, std::string_view why);

 private:
  struct Result {
    std::string tool_call_id, name, output;
    ToolOutcome outcome;
    int64_t began_ms;
    uint64_t conversation;  // at the model, in which it was asked for
    bool last_word;
  };
  struct Mailbox {
    std::mutex mutex;
    uint64_t session = 0;  // to be woken
    std::vector<Result> results;
  };

  void answer(const Result& result);

  Shared& shared_;
  Conversation& conversation_;
  Party party_;
  const std::shared_ptr<Mailbox> mailbox_ = std::make_shared<Mailbox>();
  postern::Session model_;  // none: detached
  ModelWriter to_model_;
  uint64_t at_model_ = 0;  // which conversation
  std::string active_response_;
  bool asked_ = false;  // for a response that has not been created yet
  bool response_wanted_ = false, logged_error_ = false;
  size_t pending_ = 0;
};

// What a tool's answer says that has none.
std::string tool_failure(std::string_view why);

}  // namespace openai_realtime
