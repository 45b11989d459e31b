// What tests share that have the plugin probe in their gateway; tests/integration/probe says what it does.
#pragma once

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/support/gateway.h"
#include "tests/support/places.h"

namespace postern::testing {

// Probe's entry in `plugins:`. `route`: inside the braces of its route, "wait: 5s".
inline std::string probe_entry(const std::string& route = "") {
  std::string entry = "  - {name: probe, library: " + probe_library();
  if (!route.empty()) entry += ", routes: {/probe: {" + route + "}}";
  return entry + "}\n";
}

// Another instance of it, with its routes under `prefix`. `replies`: inside the braces of its reply routes, "deadline:
// 1s".
inline std::string probe_at(const std::string& name, const std::string& prefix, const std::string& replies = "") {
  std::string entry = "  - {name: " + name + ", library: " + probe_library() + ", config: {prefix: " + prefix + "}";
  if (!replies.empty()) {
    entry += ", routes: {\"" + prefix + "/reply/{what}\": {" + replies + "}, \"" + prefix + "/recorded/{what}\": {" +
             replies + "}}";
  }
  return entry + "}\n";
}

// A request that makes probe's handler do `what`; `file` is for "block".
inline std::string probe_request(const std::string& id, const std::string& what, const std::string& file = "") {
  const nlohmann::json body = {{"id", id}, {"type", "test"}, {"do", what}, {"file", file}};
  return request_text("POST", "/probe", {{"Content-Type", "application/json"}}, body.dump());
}

// A request to a reply route of probe: "/probe/reply/echo". `file` is for those that block.
inline std::string reply_request(const std::string& path, const std::string& file = "",
                                 const std::string& body = "hello") {
  Headers headers;
  if (!file.empty()) headers.emplace_back("x-file", file);
  return request_text("POST", path, headers, body);
}

// A handler that waits, and the end of its wait.
class Barrier {
 public:
  Barrier(const Gateway& gateway, const std::string& name) : file_(gateway.folder() + "/" + name) {}

  const std::string& file() const { return file_; }
  // Waits until the handler is in it.
  bool reached() const {
    return eventually(milliseconds(10000), [&] { return std::filesystem::exists(file_ + ".began"); });
  }
  void open() const { std::ofstream(file_) << "open"; }

 private:
  std::string file_;
};

}  // namespace postern::testing
