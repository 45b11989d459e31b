// AdminClient: asks the running gateway over its admin socket. Thread-safety: one thread at a time.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include <string>

#include "core/base/status.h"

namespace postern::cli {

class AdminClient {
 public:
  explicit AdminClient(std::string socket) : socket_(std::move(socket)) {}

  // kUnavailable when no gateway answers; kNotFound for 404; else kInvalid with the gateway's own words.
  Result<nlohmann::json> get(const std::string& path) const;
  // The same for a request that asks for something to be done. null: without a body.
  Result<nlohmann::json> post(const std::string& path, const nlohmann::json& body) const;

 private:
  Result<nlohmann::json> call(const std::string& method, const std::string& path, const std::string& body) const;

  std::string socket_;
};

// The answer to `path` of the gateway that the configuration names, or the reason on stderr and the exit status in `status`.
bool ask(const std::string& config_file, const std::string& path, nlohmann::json& answer, int& status);

bool tell(const std::string& config_file, const std::string& path, const nlohmann::json& body, nlohmann::json& answer, int& status);

// Text in a path or query.
std::string encode(const std::string& text);

}  // namespace postern::cli
