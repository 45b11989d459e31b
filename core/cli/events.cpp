// postern events list|show, postern dead list|show
#include <nlohmann/json.hpp>

#include <memory>

#include "core/cli/admin_client.h"
#include "core/cli/command.h"
#include "core/cli/output.h"

namespace postern::cli {
namespace {

using nlohmann::json;

std::string text_of(const json& value) { return value.is_string() ? printable(value.get<std::string>()) : value.dump(); }
std::string time_of(const json& value) { return value.is_null() ? "-" : local_time(value.get<int64_t>()); }

std::string encode(const std::string& text) {
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    if ((byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || byte == '_' || byte == '.' || byte == '-') {
      out += c;
    } else {
      out += '%';
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
  return out;
}

void print_deliveries(const json& deliveries) {
  for (const json& d : deliveries) {
    std::string state = d["state"];
    print("  " + paint(state, colour_of_state(state)) + "  " + text_of(d["plugin"]) + " / " + text_of(d["subscriber"]) + "  attempts " +
          d["attempts"].dump() + (d["last_error"].is_null() ? "" : "  " + text_of(d["last_error"])));
    for (const json& a : d["failed_attempts"]) {
      print(paint("      " + a["n"].dump() + ". " + time_of(a["started_at"]) + "  " + text_of(a["outcome"]) + ": " + text_of(a["detail"]), Colour::kDim));
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

struct ListOptions {
  size_t limit = 50;
  std::string type;
  std::string id;
};

int list_events(const Options& options, const ListOptions& wanted) {
  json list;
  int status = kDone;
  std::string path = "/admin/v1/events?limit=" + std::to_string(wanted.limit) + "&type=" + encode(wanted.type);
  if (!ask(options.config_file, path, list, status)) return status;
  if (options.json) return print_json(list), kDone;
  Table table({"EVENT", "RECEIVED", "TYPE", "STATE", "THEIR ID"});
  table.colour_states(3);
  for (const json& e : list) {
    table.add({text_of(e["event_id"]), time_of(e["received_at"]), text_of(e["type"]), text_of(e["state"]), text_of(e["external_id"])});
  }
  table.print();
  return kDone;
}

int show_event(const Options& options, const ListOptions& wanted) {
  json event;
  int status = kDone;
  if (!ask(options.config_file, "/admin/v1/events/" + encode(wanted.id), event, status)) return status;
  options.json ? print_json(event) : print_event(event);
  return kDone;
}

int list_dead(const Options& options, const ListOptions& wanted) {
  json list;
  int status = kDone;
  if (!ask(options.config_file, "/admin/v1/dead?limit=" + std::to_string(wanted.limit), list, status)) return status;
  if (options.json) return print_json(list), kDone;
  if (list.empty()) return print("no dead deliveries"), kDone;
  Table table({"DELIVERY", "EVENT", "DIED", "TYPE", "SUBSCRIBER", "ATTEMPTS", "ERROR"});
  for (const json& d : list) {
    table.add({d["seq"].dump(), text_of(d["event_id"]), time_of(d["settled_at"]), text_of(d["type"]),
               text_of(d["plugin"]) + "/" + text_of(d["subscriber"]), d["attempts"].dump(), text_of(d["last_error"])});
  }
  table.print();
  return kDone;
}

int show_dead(const Options& options, const ListOptions& wanted) {
  json delivery;
  int status = kDone;
  if (!ask(options.config_file, "/admin/v1/dead/" + encode(wanted.id), delivery, status)) return status;
  if (options.json) return print_json(delivery), kDone;
  print(paint("delivery " + delivery["seq"].dump(), Colour::kBold) + "  died " + time_of(delivery["settled_at"]));
  print_deliveries(json::array({delivery}));
  if (delivery.contains("of")) print_event(delivery["of"]);
  return kDone;
}

}  // namespace

void add_events(CLI::App& app, const Options& options, int& status) {
  auto wanted = std::make_shared<ListOptions>();
  auto* events = app.add_subcommand("events", "Look at stored events");
  events->require_subcommand(1);
  auto* list = events->add_subcommand("list", "The newest events first");
  list->add_option("--limit", wanted->limit, "How many")->check(CLI::Range(1, 10000))->capture_default_str();
  list->add_option("--type", wanted->type, "Only these types; * stands for any text");
  list->footer("Example:\n  postern events list --type '*.message.*' --limit 10");
  list->callback([&options, &status, wanted] { status = list_events(options, *wanted); });
  auto* show = events->add_subcommand("show", "One event with its request, deliveries and failed attempts");
  show->add_option("ID", wanted->id, "evt_…")->required();
  show->footer("Example:\n  postern events show evt_01hf… --json");
  show->callback([&options, &status, wanted] { status = show_event(options, *wanted); });
}

void add_dead(CLI::App& app, const Options& options, int& status) {
  auto wanted = std::make_shared<ListOptions>();
  auto* dead = app.add_subcommand("dead", "Look at deliveries that were given up");
  dead->require_subcommand(1);
  auto* list = dead->add_subcommand("list", "The newest first");
  list->add_option("--limit", wanted->limit, "How many")->check(CLI::Range(1, 10000))->capture_default_str();
  list->footer("Example:\n  postern dead list --json");
  list->callback([&options, &status, wanted] { status = list_dead(options, *wanted); });
  auto* show = dead->add_subcommand("show", "One dead delivery with its attempts and its event");
  show->add_option("DELIVERY", wanted->id, "Its number, from `dead list`")->required();
  show->footer("Example:\n  postern dead show 4711");
  show->callback([&options, &status, wanted] { status = show_dead(options, *wanted); });
}

}  // namespace postern::cli
