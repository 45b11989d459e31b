#include "stream_token.h"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace twilio {
namespace {

using nlohmann::json;

constexpr std::chrono::seconds kDeadline{1};  // the caller hears nothing meanwhile
constexpr size_t kMaxToken = 400;             // Twilio takes less than 500 characters of a parameter's name and value

}  // namespace

std::string stream_token(const postern::Service& voice, std::string_view call_sid) {
  if (!voice.available()) return "";
  const std::string request = json{{"call_sid", call_sid}}.dump(-1, ' ', false, json::error_handler_t::replace);
  postern::ServiceAnswer answer = voice.call("token", request, kDeadline);
  if (!answer.ok()) throw std::runtime_error("no token for the stream: " + answer.error());
  json body = json::parse(answer.body(), nullptr, false);
  auto token = body.is_object() ? body.find("token") : body.end();
  if (token == body.end() || !token->is_string()) throw std::runtime_error("no token for the stream: the answer of postern.voice/1 has none");
  const std::string& text = token->get_ref<const std::string&>();
  bool plain = std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7F; });
  if (text.empty() || text.size() > kMaxToken || !plain)
    throw std::runtime_error("no token for the stream: that of postern.voice/1 is not 1 to 400 characters of printable ASCII");
  return text;
}

}  // namespace twilio
