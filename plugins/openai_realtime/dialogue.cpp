#include "dialogue.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "clock.h"

namespace openai_realtime {
namespace {

using nlohmann::json;

constexpr size_t kMaxPending = 16;
const std::string kNothing = "{}";
constexpr size_t kMaxArguments = 64 << 10;
constexpr int kMaxDepth = 64;

// Attack: brackets within brackets. Whoever writes them again, here or behind, calls itself for each.
json read_arguments(std::string_view text) {
  bool deep = false;
  const auto look = [&deep](int depth, json::parse_event_t, json&) {
    deep = deep || depth > kMaxDepth;
    return !deep;
  };
  if (text.size() > kMaxArguments) return json::value_t::discarded;
  json arguments = json::parse(text, look, false);
  return deep ? json(json::value_t::discarded) : arguments;
}

}  // namespace

std::string tool_failure(std::string_view why) { return json({{"error", why}}).dump(-1, ' ', false, json::error_handler_t::replace); }

void Dialogue::wake(uint64_t session) {
  const std::lock_guard lock(mailbox_->mutex);
  mailbox_->session = session;
}

void Dialogue::attach(postern::Session model, bool fresh) {
  model_ = model;
  active_response_.clear();
  asked_ = false;
  if (fresh) ++at_model_;
}

void Dialogue::detach() { attach({}, false); }

// ---- responses

void Dialogue::on_response_created(const ModelEvent& event) {
  active_response_ = event.response_id;
  asked_ = false;
}

void Dialogue::on_response_done(const ModelEvent& event) {
  if (const auto response = object_in(event.object, "response")) conversation_.count_usage(*response);
  if (event.response_id == active_response_ || event.response_id.empty()) active_response_.clear();
  if (response_wanted_) want_response();
}

void Dialogue::want_response() {
  response_wanted_ = !idle() || !model_;
  if (response_wanted_) return;
  asked_ = true;
  model_.send(to_model_.create_response());
}

void Dialogue::on_error(const ModelError& error) {
  asked_ = false;
  // The caller's turn has begun one just before ours, perhaps without what ours was for.
  if (error.code == "conversation_already_has_active_response") response_wanted_ = true;
  if (error.benign || std::exchange(logged_error_, true)) return;
  shared_.log.warn("call " + party_.call_sid + ": the model reports " + error.type + " " + error.code + ": " + error.message +
                   "; more of them are not told");
}

// ---- tools

Dialogue::Answer Dialogue::expect(const FunctionCall& asked, bool last_word) {
  ++pending_;
  return [mailbox = mailbox_, sessions = shared_.sessions, asked, last_word, now = steady_ms(), at = at_model_](std::string output, ToolOutcome outcome) {
    uint64_t session = 0;
    {
      const std::lock_guard lock(mailbox->mutex);
      mailbox->results.push_back({asked.id, asked.name, std::move(output), outcome, now, at, last_word});
      session = mailbox->session;
    }
    sessions.wake(session);
  };
}

void Dialogue::refuse(const FunctionCall& asked, std::string_view why) {
  ++pending_;
  answer({asked.id, asked.name, tool_failure(why), ToolOutcome::kRefused, steady_ms(), at_model_, false});
}

void Dialogue::run_tool(const FunctionCall& asked) {
  const std::vector<Tool>& tools = shared_.config.tools;
  auto tool = std::find_if(tools.begin(), tools.end(), [&](const Tool& one) { return one.name == asked.name; });
  if (tool == tools.end()) return refuse(asked, "there is no such tool");
  if (pending_ >= kMaxPending) return refuse(asked, "too many tools run at once");
  const std::string_view arguments = asked.arguments.empty() ? "{}" : std::string_view(asked.arguments);
  const json parsed = read_arguments(arguments);
  if (!parsed.is_object()) return refuse(asked, "the arguments are no JSON object");
  const json body = {{"call_sid", party_.call_sid}, {"tool", tool->name}, {"tool_call_id", asked.id},
                     {"arguments", parsed},         {"from", party_.from}, {"to", party_.to}};
  const Answer tell = expect(asked);
  try {
    shared_.publisher.publish({.type = "voice.tool.called", .body = body.dump(-1, ' ', false, json::error_handler_t::replace),
                               .external_id = party_.call_sid + ":tool:" + asked.id, .wait = tool->deadline},
                              [tell](const postern::Published& published) {
                                const bool done = published.durable && published.settled;
                                tell(done ? std::string(published.result) : tool_failure("it could not be done in time"),
                                     done ? ToolOutcome::kDone : ToolOutcome::kFailed);
                              });
  } catch (const postern::Error& error) {
    shared_.log.warn("call " + party_.call_sid + ": the tool " + tool->name + " could not be run: " + error.what());
    answer({asked.id, asked.name, tool_failure("it cannot be done now"), ToolOutcome::kFailed, steady_ms(), at_model_, false});
  }
}

void Dialogue::on_woken() {
  if (!model_) return;
  std::vector<Result> results;
  {
    const std::lock_guard lock(mailbox_->mutex);
    results.swap(mailbox_->results);
  }
  for (const Result& result : results) answer(result);
}

void Dialogue::answer(const Result& result) {
  --pending_;
  shared_.meters.tools.add(static_cast<size_t>(result.outcome));
  conversation_.count_tool(result.name, to_text(result.outcome), steady_ms() - result.began_ms);
  const std::string& output = result.output.empty() ? kNothing : result.output;
  if (result.conversation == at_model_) {
    model_.send(to_model_.function_output(result.tool_call_id, output));
  } else {
    model_.send(to_model_.create_message("system", "The tool " + result.name + ", called before, has answered: " + output));
  }
  if (!result.last_word || result.outcome != ToolOutcome::kDone) want_response();
}

}  // namespace openai_realtime
