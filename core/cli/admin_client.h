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

 private:
  std::string socket_;
};

// The answer to `path` of the gateway that the configuration names, or the reason on stderr and the exit status in `status`.
bool ask(const std::string& config_file, const std::string& path, nlohmann::json& answer, int& status);

}  // namespace postern::cli
