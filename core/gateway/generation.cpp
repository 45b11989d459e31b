#include "core/gateway/generation.h"

#include <utility>

#include "core/base/clock.h"

namespace postern::gateway {

Result<std::unique_ptr<Generation>> Generation::make(config::Config config, std::unique_ptr<Assembly> assembly,
                                                       const Generation* before) {
  auto made = std::make_unique<Generation>();
  auto details_for = admission::AddressList::parse(config.admin.allow_details);
  if (!details_for) return details_for.status().with_context("admin.allow_details");
  auto trusted = admission::AddressList::parse(config.trusted_proxies);
  if (!trusted) return trusted.status().with_context("gateway.trusted_proxies");
  made->details_for = std::move(*details_for);
  made->url_source = {config.public_url, std::move(*trusted)};
  made->since = wall_ms();
  if (config.rate_per_client) {
    bool same = before != nullptr && before->rate_per_client && before->rate_per_client->rate() == *config.rate_per_client;
    auto fresh = [&] { return std::make_shared<admission::ClientRate>(*config.rate_per_client); };
    made->rate_per_client = same ? before->rate_per_client : fresh();
    made->tls_connections_per_client = same ? before->tls_connections_per_client : fresh();
  }
  made->config = std::move(config);
  made->assembly = std::move(assembly);
  made->tables = std::make_unique<const ingest::Ingest::Tables>(ingest::Ingest::Tables{
      made->assembly->routes(), made->assembly->targets(), made->config.dedupe_window.count(), made->url_source});
  return made;
}

http::Timeouts timeouts_of(const config::Config& config) {
  const config::Deadlines& d = config.deadlines;
  return {d.head.count(), d.body.count(), d.write.count(), d.idle.count(), config.min_body_rate};
}

}  // namespace postern::gateway
