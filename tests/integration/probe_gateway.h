// What tests share that have the plugin probe in their gateway; tests/integration/probe says what it does.
#pragma once

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/support/gateway.h"

namespace postern::testing {

// Probe's entry in `plugins:`. `route`: inside the braces of its route, "wait: 5s".
inline std::string probe_entry(const std::string& route = "") {
  std::string entry = std::string("  - {name: probe, library: ") + POSTERN_PROBE;
  if (!route.empty()) entry += ", routes: {/probe: {" + route + "}}";
  return entry + "}\n";
}

// A request that makes probe's handler do `what`; `file` is for "block".
inline std::string probe_request(const std::string& id, const std::string& what, const std::string& file = "") {
  const nlohmann::json body = {{"id", id}, {"type", "test"}, {"do", what}, {"file", file}};
  return request_text("POST", "/probe", {{"Content-Type", "application/json"}}, body.dump());
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
