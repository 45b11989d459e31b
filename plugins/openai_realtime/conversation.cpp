#include "conversation.h"

#include <algorithm>
#include <utility>

namespace openai_realtime {
namespace {

using nlohmann::json;

constexpr size_t kMaxBytes = 256 << 10, kMaxTurns = 4'000, kMaxTurn = 16 << 10, kMaxTools = 500, kMaxToolName = 64;
constexpr int64_t kMaxTokens = 1'000'000'000;  // of one response; more is nonsense, and sums must not overflow

// From a half character the replacement is made when it is written.
std::string_view shortened(std::string_view text) { return text.substr(0, kMaxTurn); }

void add_to(std::map<std::string, int64_t>& sums, const char* name, const std::optional<simdjson::dom::object>& in, std::string_view member) {
  const int64_t count = in ? integer_in(*in, member).value_or(0) : 0;
  if (count > 0 && count <= kMaxTokens) sums[name] += count;
}

}  // namespace

Conversation::Turn* Conversation::find(std::string_view item_id) {
  auto found = std::find_if(turns_.rbegin(), turns_.rend(), [&](const Turn& turn) { return turn.item_id == item_id; });
  return item_id.empty() || found == turns_.rend() ? nullptr : &*found;
}

void Conversation::add(Turn turn) {
  bytes_ += turn.text.size();
  turns_.push_back(std::move(turn));
  forget_oldest();
}

void Conversation::forget_oldest() {
  while (turns_.size() > kMaxTurns || bytes_ > kMaxBytes) {
    bytes_ -= turns_.front().text.size();
    turns_.pop_front();
    truncated_ = true;
  }
}

void Conversation::append_text(Turn& turn, std::string_view text) {
  if (turn.text.size() + text.size() > kMaxTurn) return;
  bytes_ += text.size() + (turn.text.empty() ? 0 : 1);
  turn.text.append(turn.text.empty() ? "" : " ").append(text);
  forget_oldest();
}

void Conversation::caller_speaks(std::string_view item_id, int64_t at_ms) {
  if (find(item_id) == nullptr) add({"user", std::string(item_id), {}, at_ms, false});
}

void Conversation::caller_said(std::string_view item_id, std::string_view text, int64_t at_ms) {
  if (Turn* turn = find(item_id)) return append_text(*turn, shortened(text));
  add({"user", std::string(item_id), std::string(shortened(text)), at_ms, false});
}

void Conversation::model_said(std::string_view item_id, std::string_view text, int64_t at_ms) {
  if (Turn* turn = find(item_id)) return append_text(*turn, shortened(text));
  add({"assistant", std::string(item_id), std::string(shortened(text)), at_ms, false});
}

void Conversation::interrupt(std::string_view item_id) {
  Turn* turn = find(item_id);
  if (turn == nullptr) {  // its transcript has not come, and may never
    add({"assistant", std::string(item_id), {}, 0, true});
  } else {
    turn->interrupted = true;
  }
}

void Conversation::count_usage(const simdjson::dom::object& response) {
  const auto usage = object_in(response, "usage");
  if (!usage) return;
  add_to(usage_, "input_tokens", usage, "input_tokens");
  add_to(usage_, "output_tokens", usage, "output_tokens");
  add_to(usage_, "total_tokens", usage, "total_tokens");
  const auto input = object_in(*usage, "input_token_details"), output = object_in(*usage, "output_token_details");
  add_to(usage_, "input_text_tokens", input, "text_tokens");
  add_to(usage_, "input_audio_tokens", input, "audio_tokens");
  add_to(usage_, "cached_tokens", input, "cached_tokens");
  add_to(usage_, "output_text_tokens", output, "text_tokens");
  add_to(usage_, "output_audio_tokens", output, "audio_tokens");
}

void Conversation::count_tool(std::string_view name, std::string_view outcome, int64_t duration_ms) {
  if (tools_.size() < kMaxTools) tools_.push_back({{"name", name.substr(0, kMaxToolName)}, {"outcome", outcome}, {"duration_ms", duration_ms}});
}

std::vector<Conversation::Turn> Conversation::newest(size_t max_bytes) const {
  std::vector<Turn> turns;
  for (auto turn = turns_.rbegin(); turn != turns_.rend(); ++turn) {
    if (turn->text.empty()) continue;
    if (turn->text.size() > max_bytes) break;
    max_bytes -= turn->text.size();
    turns.push_back(*turn);
  }
  std::reverse(turns.begin(), turns.end());
  return turns;
}

// What is cached is told without its kind: it counts as text first, which is where a conversation repeats itself.
double Conversation::cost(const Costs& costs) const {
  auto tokens = [this](const char* name) {
    auto found = usage_.find(name);
    return found == usage_.end() ? 0.0 : static_cast<double>(found->second);
  };
  const double cached = tokens("cached_tokens"), text = tokens("input_text_tokens"), audio = tokens("input_audio_tokens");
  const double cached_text = std::min(cached, text), cached_audio = std::min(cached - cached_text, audio);
  return ((text - cached_text) * costs.input_text + (audio - cached_audio) * costs.input_audio + (cached_text + cached_audio) * costs.cached_input +
          tokens("output_text_tokens") * costs.output_text + tokens("output_audio_tokens") * costs.output_audio) /
         1e6;
}

json Conversation::summary(const Config& config, std::string_view model) const {
  json turns = json::array();
  for (const Turn& turn : turns_) {
    if (turn.text.empty() && !turn.interrupted) continue;
    turns.push_back({{"role", turn.role}, {"text", turn.text}, {"at_ms", turn.at_ms}, {"interrupted", turn.interrupted}});
  }
  json usage = json::object();
  for (const auto& [name, count] : usage_) usage[name] = count;
  json summary = {{"turns", std::move(turns)}, {"turns_truncated", truncated_}, {"usage", std::move(usage)}, {"tools", tools_}};
  if (auto found = config.costs.find(std::string(model)); found != config.costs.end()) {
    summary["cost"] = {{"amount", cost(found->second)}, {"currency", config.currency}};
  }
  return summary;
}

}  // namespace openai_realtime
