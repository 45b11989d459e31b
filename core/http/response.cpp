#include "core/http/response.h"

#include <algorithm>
#include <ctime>
#include <iterator>
#include <nlohmann/json.hpp>

#include "core/http/characters.h"
#include "core/http/request.h"

namespace postern::http {
namespace {

using Json = nlohmann::json;

// Attack: response splitting. A value with a line end in it would be a header, or a response, of somebody else's
// making.
void append_header(std::string_view name, std::string_view value, std::string& out) {
  out.append(name).append(": ");
  if (all_chars(value, kFieldChar)) {
    out.append(value);
  } else {
    std::copy_if(value.begin(), value.end(), std::back_inserter(out), [](char c) { return is_char(c, kFieldChar); });
  }
  out.append("\r\n");
}

// What serialize() says itself; from anybody else it could tell another length than the body has.
bool is_reserved(std::string_view name) {
  return equals_ignoring_case(name, "Content-Length") || equals_ignoring_case(name, "Transfer-Encoding") ||
         equals_ignoring_case(name, "Connection") || equals_ignoring_case(name, "Date") || equals_ignoring_case(name, "X-Request-Id");
}

// The time of this second as RFC 9110 §5.6.7 wants it; made once a second, since every answer carries it (§6.6.1).
std::string_view http_date() {
  thread_local std::time_t made_at = 0;
  thread_local char text[32];
  thread_local size_t size = 0;
  if (const std::time_t now = std::time(nullptr); now != made_at) {
    std::tm utc{};
    ::gmtime_r(&now, &utc);
    size = std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &utc);  // the daemon never leaves the C locale
    made_at = now;
  }
  return {text, size};
}

// RFC 9110 §8.6, §15.3.5, §15.4.5.
bool may_have_body(int status) { return status >= 200 && status != 204 && status != 304; }

}  // namespace

Response Response::error(int status, std::string_view text) {
  const Json value = {{"error", text}};
  return json(status, value.dump(-1, ' ', false, Json::error_handler_t::replace));
}

Response Response::json(int status, std::string body) {
  Response out;
  out.status = status;
  out.body = std::move(body);
  return out;
}

void serialize(const Response& response, bool keep_alive, std::string_view request_id, bool head_only,
               std::string& out) {
  out.reserve(out.size() + response.body.size() + 256);
  const int status = response.status >= 100 && response.status <= 999 ? response.status : 500;
  out.append("HTTP/1.1 ").append(std::to_string(status)).append(" ").append(reason_phrase(status)).append("\r\n");
  append_header("Date", http_date(), out);
  bool typed = response.content_type.empty();
  for (const auto& [name, value] : response.headers) {
    if (name.empty() || !all_chars(name, kTokenChar) || is_reserved(name)) continue;
    typed = typed || equals_ignoring_case(name, "Content-Type");
    append_header(name, value, out);
  }
  const bool with_body = may_have_body(status);
  if (with_body) {
    if (!typed && !response.body.empty()) append_header("Content-Type", response.content_type, out);
    append_header("Content-Length", std::to_string(response.body.size()), out);
  }
  if (!request_id.empty()) append_header("X-Request-Id", request_id, out);
  if (!keep_alive || response.close) append_header("Connection", "close", out);
  out.append("\r\n");
  if (with_body && !head_only) out.append(response.body);
}

std::string_view reason_phrase(int status) {
  // clang-format off
  switch (status) {
    case 100: return "Continue";
    case 101: return "Switching Protocols";
    case 200: return "OK";
    case 201: return "Created";
    case 202: return "Accepted";
    case 204: return "No Content";
    case 301: return "Moved Permanently";
    case 302: return "Found";
    case 303: return "See Other";
    case 304: return "Not Modified";
    case 307: return "Temporary Redirect";
    case 308: return "Permanent Redirect";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 406: return "Not Acceptable";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 410: return "Gone";
    case 411: return "Length Required";
    case 413: return "Content Too Large";
    case 414: return "URI Too Long";
    case 415: return "Unsupported Media Type";
    case 417: return "Expectation Failed";
    case 422: return "Unprocessable Content";
    case 426: return "Upgrade Required";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 505: return "HTTP Version Not Supported";
    default: return "Unknown";
  }
  // clang-format on
}

}  // namespace postern::http
