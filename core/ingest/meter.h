// Meter: what has come in, counted for metrics: requests by declared type and plugin, refusals by status and reason. One for each loop, so
// that loops do not share what they write; whoever shows them adds them up.
//
// Its series are made for what the configuration and the plugins declare: no request can make another one. A reload may add some, and takes
// none away.
// Thread-safety: adopt() and received() on the loop's thread; the others on any.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/counters.h"
#include "core/base/mutex.h"
#include "core/ingest/route.h"
#include "core/ingest/type_table.h"
#include "core/signature/scheme.h"

namespace postern::ingest {

// Why a request was not taken.
enum class Refusal {
  kMalformed,    // its framing or its path
  kTooSlow,      // it did not arrive in time
  kTooLarge,
  kMemory,       // too many bytes are on their way
  kConnections,  // too many connections are open
  kClientConnections,  // of one client
  kFiles,        // no file descriptor is left
  kHandshake,    // TLS was not agreed on
  kProxyHeader,  // the PROXY header is none
  kUntrustedProxy,  // its sender is not among the trusted proxies
  kNoRoute,
  kNoMethod,
  kAddress,
  kClientRate,
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

  // From now on requests to these routes are counted, too.
  void adopt(const RouteTable& routes) EXCLUDES(mutex_);
  // A request for the provider was found genuine and well-formed, whatever becomes of it.
  void received(std::string_view provider, TypeTable::Id type);
  void refused(int status, Refusal reason);
  // What the HTTP room refused by itself.
  void malformed(int status);

  struct Source {
    explicit Source(std::string of) : provider(std::move(of)) {}
    const std::string provider;
    std::array<Counter, TypeTable::kMaxTypes> received;  // by TypeTable::Id
  };
  std::vector<std::shared_ptr<const Source>> sources() const EXCLUDES(mutex_);
  // `status`: an index of kStatuses.
  uint64_t refusals(size_t status, Refusal reason) const { return refused_[status * kRefusals + static_cast<size_t>(reason)].value(); }

 private:
  Source* find(std::string_view provider);

  std::vector<std::shared_ptr<Source>> sources_;  // the loop's own
  mutable Mutex mutex_;
  std::vector<std::shared_ptr<const Source>> shown_ GUARDED_BY(mutex_);  // the same ones
  std::array<Counter, kStatuses.size() * kRefusals> refused_;
};

}  // namespace postern::ingest
