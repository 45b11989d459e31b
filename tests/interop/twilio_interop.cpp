// twilio_interop: the built plugin's scheme, to be asked by tests in other languages. One JSON object a line on stdin, and one a
// line on stdout:
//
//   {"token":T, "url":U, "method":"POST", "content_type":C, "body":B}                 {"signature":S}     signed by the plugin
//   {"token":T, "url":U, "method":"POST", "content_type":C, "body":B, "signature":S}  {"accepted":true}   or false
//
// Without "content_type" the request has no such header; "method" may be left out. Usage: twilio_interop TWILIO.so
// Exit status: 0 all lines were answered; 1 not, with the reason on stderr.
#include <exception>
#include <iostream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>

#include "postern/testing/fake_host.h"
#include "postern/testing/load_plugin.h"

namespace {

using nlohmann::json;
using postern::testing::FakeHost;
using postern::testing::LoadedPlugin;
using postern::testing::Request;

std::unique_ptr<FakeHost> start(const LoadedPlugin& plugin, const std::string& token) {
  auto host = std::make_unique<FakeHost>(*plugin.entry, postern::testing::Options{.name = "twilio", .trusts_proxies = true});
  auto started = host->start(json{{"auth_tokens", {token}}}.dump());
  if (!started.ok()) throw std::runtime_error("the plugin does not start: " + started.error);
  return host;
}

Request read_request(const json& line) {
  Request request;
  std::string url = line.at("url");
  size_t path = url.find('/', url.find("://") + 3);
  request.method = line.value("method", "POST");
  request.target = path == url.npos ? "/" : url.substr(path);
  request.body = line.value("body", "");
  request.urls = {url};
  if (line.contains("content_type")) request.headers.emplace_back("Content-Type", line["content_type"]);
  if (line.contains("signature")) request.headers.emplace_back("X-Twilio-Signature", line["signature"]);
  return request;
}

json answer(FakeHost& host, const json& line) {
  Request request = read_request(line);
  if (line.contains("signature")) {
    auto verified = host.verify("twilio", request, {}, 0, false);
    if (verified.status != POSTERN_OK && verified.status != POSTERN_E_DENIED) throw std::runtime_error(verified.error);
    return {{"accepted", verified.genuine()}};
  }
  auto done = host.sign("twilio", request);
  if (!done.ok()) throw std::runtime_error("the plugin does not sign: " + done.error);
  return {{"signature", done.headers.at(0).second}};
}

void run(const char* library) {
  LoadedPlugin plugin = postern::testing::load_plugin(library);
  if (!plugin) throw std::runtime_error(plugin.error);
  std::map<std::string, std::unique_ptr<FakeHost>> hosts;  // by token
  for (std::string text; std::getline(std::cin, text);) {
    json line = json::parse(text);
    std::string token = line.at("token");
    auto& host = hosts[token];
    if (!host) host = start(plugin, token);
    std::cout << answer(*host, line).dump() << '\n';
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: twilio_interop TWILIO.so\n";
    return 1;
  }
  try {
    run(argv[1]);
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "twilio_interop: " << error.what() << '\n';
    return 1;
  }
}
