#include "meters.h"

namespace openai_realtime {

std::string_view to_text(Ended ended) {
  switch (ended) {
    case Ended::kCaller: return "caller";
    case Ended::kModel: return "model";
    case Ended::kGateway: return "gateway";
    case Ended::kFallback: return "fallback";
    case Ended::kRefused: return "refused";
  }
  return "";
}

std::string_view to_text(Side side) { return side == Side::kCaller ? "caller" : "model"; }

std::string_view to_text(ToolOutcome outcome) {
  switch (outcome) {
    case ToolOutcome::kDone: return "done";
    case ToolOutcome::kFailed: return "failed";
    case ToolOutcome::kRefused: return "refused";
  }
  return "";
}

// The rows are in the order of the enumerations.
Meters make_meters(postern::Setup& setup) {
  return {
      setup.counter({.name = "calls_total", .help = "Calls, by who has ended them.", .labels = {"ended_by"},
                     .series = {{"caller"}, {"model"}, {"gateway"}, {"fallback"}, {"refused"}}}),
      setup.counter({.name = "interruptions_total", .help = "Times that a caller has interrupted the model."}),
      setup.counter({.name = "frames_total", .help = "Audio messages passed on.", .labels = {"to"}, .series = {{"model"}, {"caller"}}}),
      setup.counter({.name = "dropped_frames_total", .help = "Audio of callers that the model has not taken in time."}),
      setup.counter({.name = "tools_total", .help = "Tools that the model has called.", .labels = {"outcome"}, .series = {{"done"}, {"failed"}, {"refused"}}}),
      setup.counter({.name = "model_errors_total", .help = "Error events of the model."}),
      setup.counter({.name = "bad_messages_total", .help = "Messages that were not as they should be.", .labels = {"from"}, .series = {{"caller"}, {"model"}}}),
      setup.counter({.name = "sip_calls_total", .help = "Calls that came by SIP, by what became of them.", .labels = {"outcome"},
                     .series = {{"accepted"}, {"rejected"}, {"too_late"}, {"failed"}}}),
  };
}

}  // namespace openai_realtime
