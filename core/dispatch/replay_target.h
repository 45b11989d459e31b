// ReplayTarget: where deliveries go that were queued again. Thread-safety: any thread.
#pragma once

#include <string>
#include <vector>

#include "core/store/rows.h"

namespace postern::dispatch {

class ReplayTarget {
 public:
  virtual ~ReplayTarget() = default;
  // Whether the configuration has somebody to take it.
  virtual bool has_subscriber(const std::string& plugin, const std::string& name) = 0;
  // How many of it may come now, so that memory stays bounded.
  virtual size_t room(const std::string& plugin, const std::string& subscriber) = 0;
  // Durable, open, and not with the dispatcher yet. They take their places behind those of their keys.
  virtual void requeue(std::vector<store::OpenDelivery> deliveries) = 0;
};

}  // namespace postern::dispatch
