// What is left of a connection that speaks HTTP no longer: see Exchange::upgrade(). Thread-safety: one thread at a time.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "core/http/connection_counts.h"
#include "core/net/stream.h"

namespace postern::http {

struct Upgraded {
  std::unique_ptr<net::Stream> stream;  // on no loop
  std::string first;                    // what came behind the request
  ConnectionCounts::Slot slot;          // counts for the client as long as it lives
};
using Taker = std::function<void(Upgraded)>;

}  // namespace postern::http
