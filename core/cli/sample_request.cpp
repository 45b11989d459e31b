#include "core/cli/sample_request.h"

#include "core/base/clock.h"
#include "core/base/ids.h"

namespace postern::cli {
namespace {

std::string fresh_id() {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string id;
  for (char c : random_bytes(12)) {
    id += kDigits[(static_cast<unsigned char>(c) >> 4) & 15];
    id += kDigits[static_cast<unsigned char>(c) & 15];
  }
  return id;
}

std::string fill(std::string text, const std::string& id, int64_t now_ms) {
  const std::pair<std::string_view, std::string> values[] = {
      {"{{id}}", id}, {"{{now}}", iso8601(now_ms)}, {"{{unix}}", std::to_string(now_ms / 1000)}, {"{{unix_ms}}", std::to_string(now_ms)}};
  for (const auto& [placeholder, value] : values) {
    for (size_t at = 0; (at = text.find(placeholder, at)) != std::string::npos; at += value.size()) {
      text.replace(at, placeholder.size(), value);
    }
  }
  return text;
}

}  // namespace

Result<SampleRequest> make_request(const ingest::RouteTable& routes, const plugin::Sample& sample, std::string id, int64_t now_ms) {
  SampleRequest request;
  request.id = id.empty() ? fresh_id() : std::move(id);
  request.method = sample.method;
  request.target = fill(sample.target, request.id, now_ms);
  request.body = fill(sample.body, request.id, now_ms);
  if (!sample.content_type.empty()) request.headers.emplace_back("Content-Type", sample.content_type);
  for (const auto& [name, value] : sample.headers) request.headers.emplace_back(name, fill(value, request.id, now_ms));

  std::string path = request.target.substr(0, request.target.find('?'));
  auto match = routes.router().match(request.method, path);
  if (match.kind != http::Router::Match::Kind::kFound) return Status(Code::kNotFound, "no route takes " + request.method + " " + path);
  const ingest::EventRoute& route = routes.route(match.id);
  if (route.schemes.empty()) return request;
  for (auto& header : route.schemes.front().scheme->sign("msg_" + request.id, request.body, now_ms)) request.headers.push_back(std::move(header));
  return request;
}

}  // namespace postern::cli
