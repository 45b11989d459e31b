// Subscriber: somebody who takes deliveries: a plugin's own handlers, or a subscription of the YAML.
// Thread-safety: const after it is made; handle() is called by several workers at once.
#pragma once

#include <functional>
#include <string>

#include "core/config/config.h"

namespace postern::dispatch {

class Delivery;

enum class HandlerOutcome {
  kDone,
  kPending,  // Delivery::complete() will follow
  kRetry,
  kPostpone,  // not tried, since what it needs is known to be down: later, at no cost of attempts
  kDead,
};

struct HandlerResult {
  HandlerOutcome outcome = HandlerOutcome::kDone;
  std::string why;
};

struct Subscriber {
  std::string plugin;  // owner of the records; the delivery's `plugin`
  std::string name;    // the delivery's `subscriber`: "handlers" for the plugin's own, or a subscription's name
  config::Policies policies;
  bool ordered = true;
  std::string with_json;  // a subscription's `with:`
  std::function<HandlerResult(Delivery&)> handle;
  bool held = false;  // its plugin is in quarantine: what comes for it waits
};

}  // namespace postern::dispatch
