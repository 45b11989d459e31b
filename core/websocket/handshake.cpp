#include "core/websocket/handshake.h"

#include <openssl/sha.h>

#include <algorithm>
#include <array>

#include "core/base/encoding.h"
#include "core/base/ids.h"
#include "core/http/characters.h"

namespace postern::websocket {
namespace {

constexpr std::string_view kGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
constexpr size_t kKeyBytes = 16;

// The elements of a comma-separated header, of all its occurrences.
std::vector<std::string_view> elements(const http::Request& message, std::string_view name) {
  std::vector<std::string_view> found;
  for (size_t n = 0; auto value = message.header(name, n); ++n) {
    for (std::string_view rest = *value;;) {
      const size_t comma = rest.find(',');
      const std::string_view element = http::trim_white_space(rest.substr(0, comma));
      if (!element.empty()) found.push_back(element);
      if (comma == rest.npos) break;
      rest.remove_prefix(comma + 1);
    }
  }
  return found;
}

bool has_element(const http::Request& message, std::string_view name, std::string_view wanted) {
  const auto found = elements(message, name);
  return std::any_of(found.begin(), found.end(), [&](std::string_view e) { return http::equals_ignoring_case(e, wanted); });
}

bool is_key(std::string_view text) {
  std::array<unsigned char, kKeyBytes> bytes;
  return decode_base64(text, bytes);
}

const char* fault_of(const http::Request& request) {
  if (request.method() != "GET" || request.http_1_0()) return "a WebSocket begins with GET and HTTP/1.1";
  if (!has_element(request, "upgrade", "websocket") || !has_element(request, "connection", "upgrade")) return "this is a WebSocket route";
  if (request.count("sec-websocket-key") != 1 || !is_key(*request.header("sec-websocket-key"))) return "Sec-WebSocket-Key is malformed";
  if (request.count("sec-websocket-version") != 1) return "Sec-WebSocket-Version is missing";
  if (!request.body().empty()) return "a WebSocket's request has no body";
  return nullptr;
}

}  // namespace

std::string accept_key(std::string_view key) {
  const std::string text = std::string(key).append(kGuid);
  std::array<unsigned char, SHA_DIGEST_LENGTH> digest;
  SHA1(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  return encode_base64(digest);
}

Acceptance accept(const http::Request& request, const std::vector<std::string>& protocols, std::string_view request_id) {
  if (const char* fault = fault_of(request)) return {"", http::Response::error(400, fault)};
  if (*request.header("sec-websocket-version") != "13") {
    http::Response refusal = http::Response::error(426, "this gateway speaks version 13 of WebSocket");
    refusal.headers.emplace_back("Sec-WebSocket-Version", "13");
    refusal.headers.emplace_back("Upgrade", "websocket");
    return {"", std::move(refusal)};
  }
  std::string head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
                     accept_key(*request.header("sec-websocket-key")) + "\r\n";
  for (std::string_view offered : elements(request, "sec-websocket-protocol")) {
    if (std::find(protocols.begin(), protocols.end(), offered) == protocols.end()) continue;
    head.append("Sec-WebSocket-Protocol: ").append(offered).append("\r\n");
    break;
  }
  if (!request_id.empty()) head.append("X-Request-Id: ").append(request_id).append("\r\n");
  return {head + "\r\n", std::nullopt};
}

ClientHandshake::ClientHandshake(std::string_view authority, std::string_view target, const Headers& headers,
                                 std::vector<std::string> protocols)
    : protocols_(std::move(protocols)) {
  const std::string random = random_bytes(kKeyBytes);
  const std::string key = encode_base64(std::span(reinterpret_cast<const unsigned char*>(random.data()), random.size()));
  expected_ = accept_key(key);
  request_.append("GET ").append(target).append(" HTTP/1.1\r\nHost: ").append(authority);
  request_.append("\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ").append(key);
  request_ += "\r\n";
  for (const auto& [name, value] : headers) request_.append(name).append(": ").append(value).append("\r\n");
  if (!protocols_.empty()) request_ += "Sec-WebSocket-Protocol: ";
  for (size_t i = 0; i < protocols_.size(); ++i) request_.append(i == 0 ? "" : ", ").append(protocols_[i]);
  if (!protocols_.empty()) request_ += "\r\n";
  request_ += "\r\n";
}

std::optional<ClientHandshake::Outcome> ClientHandshake::feed(std::string_view bytes) {
  const size_t before = head_.size();
  head_.append(bytes.substr(0, kMaxHead - before));
  const size_t end = head_.find("\r\n\r\n", before < 3 ? 0 : before - 3);
  if (end != std::string::npos) return Outcome{end + 4 - before, judge(std::string_view(head_).substr(0, end + 2))};
  if (head_.size() < kMaxHead) return std::nullopt;
  return Outcome{bytes.size(), Status(Code::kInvalid, "the answer's head is too long")};
}

// "HTTP/1.1 101 reason"
Status ClientHandshake::judge(std::string_view head) {
  const std::string_view line = head.substr(0, head.find("\r\n"));
  const bool shaped = line.starts_with("HTTP/1.1 ") && line.size() >= 12 && http::all_chars(line.substr(9, 3), http::kDigitChar) &&
                      (line.size() == 12 || line[12] == ' ');
  if (!shaped) return {Code::kInvalid, "the answer is not HTTP/1.1"};
  http_status_ = (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0');
  if (http_status_ != 101) return {Code::kDenied, "the server answered " + std::to_string(http_status_)};
  std::string_view headers = head.substr(line.size() + 2);
  for (std::string_view rest = headers; !rest.empty();) {
    const std::string_view one = rest.substr(0, rest.find("\r\n"));
    rest.remove_prefix(one.size() + 2);
    const size_t colon = one.find(':');
    if (colon == 0 || colon == one.npos || !http::all_chars(one.substr(0, colon), http::kTokenChar) ||
        !http::all_chars(one.substr(colon + 1), http::kFieldChar)) {
      return {Code::kInvalid, "the answer has a malformed header"};
    }
  }
  return judge_headers(http::Request::from_parts("GET", "/", headers, ""));
}

// §4.1: what a client must fail the connection for.
Status ClientHandshake::judge_headers(const http::Request& answer) {
  auto is_one = [&](std::string_view name, std::string_view value) {
    return answer.count(name) == 1 && http::equals_ignoring_case(*answer.header(name), value);
  };
  if (!is_one("upgrade", "websocket") || !has_element(answer, "connection", "upgrade")) {
    return {Code::kInvalid, "the answer does not switch to WebSocket"};
  }
  if (answer.count("sec-websocket-accept") != 1 || *answer.header("sec-websocket-accept") != expected_) {
    return {Code::kInvalid, "the answer's Sec-WebSocket-Accept is not that of our key"};
  }
  if (!elements(answer, "sec-websocket-extensions").empty()) return {Code::kInvalid, "the answer has extensions that were not asked for"};
  const size_t chosen = answer.count("sec-websocket-protocol");
  if (chosen == 0) return Status::ok();
  protocol_ = *answer.header("sec-websocket-protocol");
  const bool asked = chosen == 1 && std::find(protocols_.begin(), protocols_.end(), protocol_) != protocols_.end();
  return asked ? Status::ok() : Status(Code::kInvalid, "the answer has a protocol that was not asked for");
}

}  // namespace postern::websocket
