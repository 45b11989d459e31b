#include "core/cli/event_output.h"

#include <nlohmann/json.hpp>

#include "core/base/clock.h"
#include "core/cli/output.h"

namespace postern::cli {

using nlohmann::json;

namespace {

// Why a queued delivery does not run: its next run is still to come.
std::string wait_of(const json& delivery) {
  bool waits = delivery["state"] == "queued" && delivery["due_at"].get<int64_t>() > wall_ms();
  return waits ? "  waits until " + time_of(delivery["due_at"]) : "";
}

}  // namespace

std::string text_of(const json& value) { return value.is_string() ? printable(value.get<std::string>()) : value.dump(); }
std::string time_of(const json& value) { return value.is_null() ? "-" : local_time(value.get<int64_t>()); }

void print_deliveries(const json& deliveries) {
  for (const json& d : deliveries) {
    std::string state = d["state"];
    print("  " + paint(state, colour_of_state(state)) + "  " + text_of(d["plugin"]) + " / " + text_of(d["subscriber"]) + "  attempts " +
          d["attempts"].dump() + wait_of(d) + (d["dropped_at"].is_null() ? "" : "  dropped " + time_of(d["dropped_at"])) +
          (d["replayed_at"].is_null() ? "" : "  replayed " + time_of(d["replayed_at"])) +
          (d["last_error"].is_null() ? "" : "  " + text_of(d["last_error"])));
    for (const json& a : d["failed_attempts"]) {
      print(paint("      " + a["n"].dump() + ". " + time_of(a["started_at"]) + "  " + text_of(a["outcome"]) + ": " + text_of(a["detail"]),
                  Colour::kDim));
    }
  }
}

void print_event(const json& event) {
  print(paint(text_of(event["event_id"]), Colour::kBold) + "  " + text_of(event["type"]));
  print("  received   " + time_of(event["received_at"]) + " from " + text_of(event["remote"]));
  print("  their id   " + text_of(event["external_id"]));
  if (!event["order_key"].get<std::string>().empty()) print("  order key  " + text_of(event["order_key"]));
  print("  request    " + text_of(event["method"]) + " " + text_of(event["target"]));
  if (event.contains("deliveries")) {
    print(event["deliveries"].empty() ? "nobody handles this type" : "deliveries");
    print_deliveries(event["deliveries"]);
  }
  print("headers");
  std::string headers = event["headers"];
  for (size_t at = 0; at < headers.size();) {
    size_t end = headers.find("\r\n", at);
    print("  " + printable(headers.substr(at, end - at)));
    at = end == std::string::npos ? headers.size() : end + 2;
  }
  print("body");
  print("  " + text_of(event["body"]));
}

}  // namespace postern::cli
