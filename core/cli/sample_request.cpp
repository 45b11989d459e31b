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

Status sign(const signature::Scheme& scheme, const std::string& public_url, int64_t now_ms, SampleRequest& request) {
  std::string lines;
  for (const auto& [name, value] : request.headers) lines += name + ": " + value + "\r\n";
  const http::Request draft = http::Request::from_parts(request.method, request.target, lines, request.body);
  std::vector<std::string> urls;
  if (!public_url.empty()) urls.push_back(public_url + request.target);
  auto added = scheme.sign({draft, "msg_" + request.id, now_ms, urls});
  if (!added) return added.status();
  for (auto& header : *added) request.headers.push_back(std::move(header));
  return Status::ok();
}

}  // namespace

Result<SampleRequest> make_request(const ingest::RouteTable& routes, const plugin::Sample& sample, const std::string& public_url,
                                   std::string id, int64_t now_ms) {
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
  const ingest::Route& route = routes.route(match.id);
  if (route.schemes.empty()) return request;
  if (Status s = sign(*route.schemes.front().scheme, public_url, now_ms, request); !s) return s;
  return request;
}

}  // namespace postern::cli
