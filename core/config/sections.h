// The schema: one reading function for each part of gateway.yaml. Each fills what it finds into the Config and tells
// what is wrong; cross-checks inside a part belong to it, those between parts are told by the later one.
// Thread-safety: one thread at a time.
#pragma once

#include <optional>

#include "core/config/config.h"
#include "core/config/reader.h"

namespace postern::config {

void read_gateway(Section& gateway, Config& config);
void read_admin(Section& admin, Config& config);  // after read_gateway: their addresses must differ
// Of a listener's `tls:`. Nothing where it is absent or at fault.
std::optional<Tls> read_tls(Section& listener);
void read_store(Section& store, Config& config);
void read_dispatch(Section& dispatch, Config& config);
// dedupe: of the gateway or of one route. False when it sets no window.
bool read_dedupe(Section& dedupe, milliseconds& window);
void read_health(Section& health, Config& config);

// retry, breaker and deadline; what the section does not set stays as it is in `policies`.
void read_policies(Section& section, Policies& policies);
void read_quarantine(Section& section, Quarantine& quarantine);

// Of a plugin's `upstreams:`; `member` names it.
UpstreamOverride read_upstream(Section& section, const Member& member);

// Of a subscription's `when:`.
void read_conditions(Section& subscription, std::vector<Condition>& out);

void read_plugins(Section& root, Config& config);        // after read_dispatch, whose policies are inherited
void read_subscriptions(Section& root, Config& config);  // after read_plugins

}  // namespace postern::config
