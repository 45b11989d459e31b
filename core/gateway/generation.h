// Generation: one configuration at work: its plugins, and what of it the rooms look things up in. A reload makes the next one; whatever is
// under way in one before (a request, a delivery, a health check) holds it, and ends with the plugins that it began with.
// Thread-safety: const after make(), but for the assembly's life.
#pragma once

#include <cstdint>
#include <memory>

#include "core/admission/address_list.h"
#include "core/admission/client_rate.h"
#include "core/admission/public_urls.h"
#include "core/config/config.h"
#include "core/gateway/assembly.h"
#include "core/http/connection.h"
#include "core/ingest/ingest.h"

namespace postern::gateway {

struct Generation {
  // `before`: that which runs: a rate that is the same goes on as it stands.
  static Result<std::unique_ptr<Generation>> make(config::Config config, std::unique_ptr<Assembly> assembly,
                                                  const Generation* before = nullptr);

  config::Config config;
  std::unique_ptr<Assembly> assembly;
  admission::AddressList details_for;  // who sees health details
  admission::UrlSource url_source;     // with the trusted proxies
  std::shared_ptr<admission::ClientRate> rate_per_client;  // of all requests; null: unlimited
  std::shared_ptr<admission::ClientRate> tls_connections_per_client;  // the same rate, counted by itself
  std::unique_ptr<const ingest::Ingest::Tables> tables;
  uint64_t number = 1;     // 1 at the start
  int64_t since = 0;       // Unix milliseconds
};

http::Timeouts timeouts_of(const config::Config& config);

}  // namespace postern::gateway
