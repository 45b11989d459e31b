// A plugin's sample, made into a request as the provider would send it now. Thread-safety: pure functions.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/base/status.h"
#include "core/ingest/route.h"
#include "core/plugin/host.h"

namespace postern::cli {

struct SampleRequest {
  std::string id;  // what {{id}} became
  std::string method, target, body;
  std::vector<std::pair<std::string, std::string>> headers;
};

// Fills in the sample and signs it by the first scheme of its route, with the first secret. `id`: empty for a fresh one. `public_url`: what
// schemes sign that cover the URL.
Result<SampleRequest> make_request(const ingest::RouteTable& routes, const plugin::Sample& sample, const std::string& public_url,
                                   std::string id, int64_t now_ms);

}  // namespace postern::cli
