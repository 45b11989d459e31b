// Conversation: what was said in a call, and what it has cost: the model's transcripts of both sides, tokens, tools. Bounded: of a very long
// call the oldest turns are dropped. Thread-safety: one thread at a time.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "config.h"
#include "json_reader.h"

namespace openai_realtime {

class Conversation {
 public:
  struct Turn {
    std::string role, item_id, text;
    int64_t at_ms = 0;  // since the call began
    bool interrupted = false;
  };

  // The caller begins to speak: the place of what will be transcribed later.
  void caller_speaks(std::string_view item_id, int64_t at_ms);
  void caller_said(std::string_view item_id, std::string_view text, int64_t at_ms);
  void model_said(std::string_view item_id, std::string_view text, int64_t at_ms);
  void interrupt(std::string_view item_id);
  // The `response` of a response.done.
  void count_usage(const simdjson::dom::object& response);
  void count_tool(std::string_view name, std::string_view outcome, int64_t duration_ms);

  // The newest turns, with something in them, that fit into so many bytes, in their order.
  std::vector<Turn> newest(size_t max_bytes) const;
  // "turns", "usage", "tools" and, where the model has prices, "cost".
  nlohmann::json summary(const Config& config, std::string_view model) const;

 private:
  Turn* find(std::string_view item_id);
  void add(Turn turn);
  void append_text(Turn& turn, std::string_view text);
  void forget_oldest();
  double cost(const Costs& costs) const;

  std::deque<Turn> turns_;
  size_t bytes_ = 0;
  bool truncated_ = false;
  std::map<std::string, int64_t> usage_;
  nlohmann::json tools_ = nlohmann::json::array();
};

}  // namespace openai_realtime
