// Meter: what has come in, counted for metrics: requests by declared type and plugin, refusals by status and reason. One for each loop, so
// that loops do not share what they write; whoever shows them adds them up.
//
// Its series are made once, for what the configuration and the plugins declare: no request can make another one.
// Thread-safety: any thread.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/counters.h"
#include "core/http/router.h"
#include "core/ingest/route.h"
#include "core/ingest/target_table.h"
#include "core/signature/scheme.h"

namespace postern::ingest {

// Why a request was not taken.
enum class Refusal {
  kMalformed,    // its framing or its path
  kTooSlow,      // it did not arrive in time
  kTooLarge,
  kMemory,       // too many bytes are on their way
  kConnections,  // too many connections are open
  kNoRoute,
  kNoMethod,
  kAddress,
  kRate,
  kContentType,
  kDraining,
  kNoRoom,  // the backlog is full, or the store is down
  kSignatureMissing,
  kSignatureDoubled,
  kSignatureMalformed,
  kSignatureStale,
  kSignatureWrong,
  kSignatureUnchecked,  // the plugin could not tell, or not in time
  kBody,                // not what the route needs
  kNotStored,
  kReplyBusy,    // no thread was free for the plugin's answer
  kReplyFailed,
  kReplyLate,
};
constexpr size_t kRefusals = static_cast<size_t>(Refusal::kReplyLate) + 1;
const char* to_text(Refusal reason);  // "no_route"
Refusal to_refusal(signature::Verdict verdict);

class Meter {
 public:
  // The statuses that refusals have; any other one counts as the last.
  static constexpr std::array<int, 20> kStatuses{400, 401, 403, 404, 405, 408, 411, 413, 414, 415,
                                                 417, 422, 429, 431, 500, 501, 503, 504, 505, 0};

  // What is added to the tables later is not counted apart.
  Meter(const RouteTable& routes, const TargetTable& targets);

  // A request of the route was found genuine and well-formed, whatever becomes of it.
  void received(http::Router::Id route, std::string_view type) {
    if (route >= by_route_.size()) return;
    Source& source = sources_[by_route_[route]];
    TypeTable::Id id = types_.match(source.provider, type);
    source.received[id < types_size_ ? id : TypeTable::kOther].add();
  }
  void refused(int status, Refusal reason);
  // What the HTTP room refused by itself.
  void malformed(int status);

  struct Source {
    std::string provider;
    std::unique_ptr<Counter[]> received;  // by TypeTable::Id, types() of them
  };
  const std::vector<Source>& sources() const { return sources_; }
  size_t types() const { return types_size_; }
  // `status`: an index of kStatuses.
  uint64_t refusals(size_t status, Refusal reason) const { return refused_[status * kRefusals + static_cast<size_t>(reason)].value(); }

 private:
  const TypeTable& types_;
  const size_t types_size_;
  std::vector<Source> sources_;
  std::vector<size_t> by_route_;  // route's id → its plugin in sources_
  std::array<Counter, kStatuses.size() * kRefusals> refused_;
};

}  // namespace postern::ingest
