// Overrides: what the operator set wins over what the plugin said, and that over the gateway's defaults. Thread-safety: pure functions.
#pragma once

#include "core/base/status.h"
#include "core/client/client.h"
#include "core/config/config.h"
#include "core/ingest/route.h"
#include "core/plugin/host.h"

namespace postern::gateway {

// `set` null: the file says nothing of this route.
Status apply(const config::RouteOverride* set, const config::Config& config, ingest::Route& route);

// Allowed hosts replace the leave to call any: then all that is called is known, and has a breaker.
void apply(const config::UpstreamOverride& set, client::Upstream& upstream);

// `policies`: as the file has them, with what is the gateway's for all. There the plugin's wishes count.
config::Policies policies_for(const plugin::PolicyWish& wish, config::Policies policies);

}  // namespace postern::gateway
