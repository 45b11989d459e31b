// Tools: what the model asks for becomes an event, whose handler may take its time on another thread and has effects exactly once; its
// result goes back into the session. Audio goes on meanwhile.
#include <algorithm>

#include "call_legs.h"

namespace openai_realtime {
namespace {

using nlohmann::json;

constexpr size_t kMaxPending = 16;
constexpr size_t kMaxArguments = 64 << 10;

std::string failure(std::string_view why) { return json({{"error", why}}).dump(); }

}  // namespace

void Call::on_item_done(const ModelEvent& event) {
  const auto item = object_in(event.object, "item");
  if (!item || string_in(*item, "type") != "function_call") return;
  const std::string name(string_in(*item, "name")), tool_call_id(string_in(*item, "call_id"));
  if (name == config_.end_call_tool && !name.empty()) {
    hanging_up_ = true;
    ended_by_ = Ended::kModel;
    return;  // when its response is done, so that nothing is cut
  }
  auto tool = std::find_if(config_.tools.begin(), config_.tools.end(), [&](const Tool& one) { return one.name == name; });
  const int64_t now = steady_ms();
  ++pending_tools_;
  if (tool == config_.tools.end()) return answer_tool({tool_call_id, name, failure("there is no such tool"), ToolOutcome::kRefused, now});
  if (pending_tools_ > kMaxPending) return answer_tool({tool_call_id, name, failure("too many tools run at once"), ToolOutcome::kRefused, now});
  run_tool(*tool, tool_call_id, string_in(*item, "arguments"));
}

void Call::run_tool(const Tool& tool, std::string_view tool_call_id, std::string_view arguments) {
  const int64_t now = steady_ms();
  const std::string id(tool_call_id);
  const json parsed = arguments.size() > kMaxArguments ? json(json::value_t::discarded) : json::parse(arguments.empty() ? "{}" : arguments, nullptr, false);
  if (!parsed.is_object()) return answer_tool({id, tool.name, failure("the arguments are no JSON object"), ToolOutcome::kRefused, now});
  const json body = {{"call_sid", call_sid_}, {"tool", tool.name}, {"tool_call_id", id}, {"arguments", parsed}, {"from", from_}, {"to", to_}};
  auto on_published = [mailbox = mailbox_, sessions = shared_.sessions, caller = caller_.id(), name = tool.name, id, now](const postern::Published& published) {
    Mailbox::Result result{id, name, std::string(published.result), ToolOutcome::kDone, now};
    if (!published.durable || !published.settled) {
      result.output = failure("it could not be done in time");
      result.outcome = ToolOutcome::kFailed;
    }
    {
      const std::lock_guard lock(mailbox->mutex);
      mailbox->results.push_back(std::move(result));
    }
    sessions.wake(caller);
  };
  try {
    shared_.publisher.publish({.type = "voice.tool.called", .body = body.dump(), .external_id = call_sid_ + ":" + id, .wait = tool.deadline}, on_published);
  } catch (const postern::Error& error) {
    shared_.log.warn("call " + call_sid_ + ": the tool " + tool.name + " could not be run: " + error.what());
    answer_tool({id, tool.name, failure("it cannot be done now"), ToolOutcome::kFailed, now});
  }
}

void Call::on_woken() {
  std::vector<Mailbox::Result> results;
  {
    const std::lock_guard lock(mailbox_->mutex);
    results.swap(mailbox_->results);
  }
  for (const Mailbox::Result& result : results) answer_tool(result);
}

void Call::answer_tool(const Mailbox::Result& result) {
  --pending_tools_;
  shared_.meters.tools.add(static_cast<size_t>(result.outcome));
  conversation_.count_tool(result.name, to_text(result.outcome), steady_ms() - result.began_ms);
  if (finished_ || fallen_back_ || !model_.open) return;
  model_.session.send(to_model_.function_output(result.tool_call_id, result.output.empty() ? "{}" : result.output));
  want_response();
}

}  // namespace openai_realtime
