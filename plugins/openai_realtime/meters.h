// What the plugin counts, as /metrics shows it. Thread-safety: any thread.
#pragma once

#include <postern/plugin.hpp>
#include <string_view>

namespace openai_realtime {

// How a call ended, whose words the event and the metric use.
enum class Ended { kCaller, kModel, kGateway, kFallback, kRefused };
enum class Side { kCaller, kModel };
enum class SipOutcome { kAccepted, kRejected, kTooLate, kFailed };
enum class ToolOutcome { kDone, kFailed, kRefused };

std::string_view to_text(Ended ended);
std::string_view to_text(Side side);
std::string_view to_text(ToolOutcome outcome);

struct Meters {
  postern::Counter calls;          // by Ended
  postern::Counter interruptions;
  postern::Counter frames;         // to the model; to the caller
  postern::Counter dropped_frames;
  postern::Counter tools;          // by ToolOutcome
  postern::Counter model_errors;
  postern::Counter complaints;     // by Side: messages that were not as they should be
  postern::Counter sip_calls;      // by SipOutcome
};
Meters make_meters(postern::Setup& setup);

}  // namespace openai_realtime
