#include "tool_runner.h"

#include <nlohmann/json.hpp>

#include "clock.h"

namespace openai_realtime {
namespace {

using nlohmann::json;
using postern::Delivery;
using postern::Outcome;
using std::chrono::milliseconds;

constexpr milliseconds kFallbackHelpsFor{10'000};
constexpr size_t kMaxAnswer = 256 << 10;

// How much of its time an event has left.
milliseconds remaining(const Delivery& delivery, milliseconds of) {
  return delivery.received_at().time_since_epoch() + of - milliseconds(unix_ms());
}

// The model reads text: what is no JSON is a JSON text.
std::string as_json(const std::string& answer) {
  return json::accept(answer) ? answer : json(answer).dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace

ToolRunner::ToolRunner(const Config& config, postern::Setup& setup) {
  for (const Tool& tool : config.tools) {
    Target target{&tool, {}, {}, {}};
    if (!tool.service.empty()) {
      target.service = setup.acquire(tool.service);
    } else {
      const size_t path = tool.url.find('/', tool.url.find("//") + 2);
      target.path = path == std::string::npos ? "/" : tool.url.substr(path);
      target.upstream = setup.upstream({.name = "tool-" + tool.name,
                                        .base_url = tool.url.substr(0, path),
                                        .allow_http = tool.url.starts_with("http://"),
                                        .retry_base = milliseconds(200),
                                        .attempt = tool.deadline,
                                        .deadline = tool.deadline,
                                        .max_response = kMaxAnswer});
    }
    targets_.emplace(tool.name, std::move(target));
  }
}

Outcome ToolRunner::run(Delivery& delivery) const {
  const json body = json::parse(delivery.body(), nullptr, false);
  const std::string name = body.is_object() ? body.value("tool", "") : "";
  const auto target = targets_.find(name);
  if (target == targets_.end()) return Outcome::dead("there is no tool of this name any more");
  const Tool& tool = *target->second.tool;
  const milliseconds left = remaining(delivery, tool.deadline);
  if (left.count() <= 0) return Outcome::dead("nobody waits for its answer any more");
  if (!tool.service.empty()) {
    const auto answer = target->second.service.call(delivery, tool.name, delivery.body(), left);
    if (!answer.ok()) return Outcome::dead(answer.error());
    delivery.set_result(as_json(answer.body()));
    return Outcome::done();
  }
  const auto answer = target->second.upstream.call(delivery, {.method = "POST",
                                                              .url = target->second.path,
                                                              .headers = {{"Content-Type", "application/json"}},
                                                              .body = delivery.body(),
                                                              .deadline = left});
  if (!answer.ok()) return Outcome::dead(answer.error());
  delivery.set_result(as_json(answer.body()));
  return Outcome::done();
}

Outcome run_fallback(Delivery& delivery, const postern::Service& calls) {
  if (remaining(delivery, kFallbackHelpsFor).count() <= 0) return Outcome::dead("the caller does not wait any more");
  if (!calls.available()) return Outcome::dead("no plugin publishes twilio.calls/1: the call goes on behind <Connect>");
  const json body = json::parse(delivery.body(), nullptr, false);
  if (!body.is_object()) return Outcome::dead("its body is not as this plugin writes it");
  const json request = {{"call_sid", body.value("call_sid", "")}, {"twiml", body.value("twiml", "")}};
  return calls.call(delivery, "update", request.dump(), milliseconds(2'000)).outcome();
}

}  // namespace openai_realtime
