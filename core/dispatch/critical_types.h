// CriticalTypes: of which events somebody must hear when a delivery of theirs dies. Plugins mark types, and the operator has the last word.
// Thread-safety: const access from any thread after the last mark().
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/ingest/event.h"
#include "core/store/store.h"

namespace postern::dispatch {

// The event that tells of a dead delivery; it comes from the gateway itself, so that no plugin may have this name.
constexpr const char* kGatewayProvider = "postern";
constexpr const char* kDeliveryDead = "postern.delivery.dead";

class CriticalTypes {
 public:
  // Events of this provider whose type matches, with or without "provider." before it. Of several that match, the last counts.
  void mark(std::string provider, std::string glob, bool critical) { marks_.push_back({std::move(provider), std::move(glob), critical}); }

  bool contains(const std::string& provider, const std::string& type) const;

 private:
  struct Mark {
    std::string provider, glob;
    bool critical;
  };
  std::vector<Mark> marks_;
};

// The event for whoever subscribes to postern.delivery.dead: which delivery of `event` died, after how many attempts, and why. Its body is
// JSON and repeats nothing of the event's content. Times in it are Unix milliseconds.
ingest::NewEvent death_notice(const store::Settlement& death, const store::StoredEvent& event, const std::string& subscriber);

}  // namespace postern::dispatch
