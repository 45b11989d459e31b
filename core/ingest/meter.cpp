#include "core/ingest/meter.h"

#include <algorithm>

namespace postern::ingest {

const char* to_text(Refusal reason) {
  switch (reason) {
    case Refusal::kMalformed: return "malformed";
    case Refusal::kTooSlow: return "too_slow";
    case Refusal::kTooLarge: return "too_large";
    case Refusal::kMemory: return "memory";
    case Refusal::kConnections: return "connections";
    case Refusal::kClientConnections: return "client_connections";
    case Refusal::kFiles: return "files";
    case Refusal::kHandshake: return "tls_handshake";
    case Refusal::kProxyHeader: return "proxy_header";
    case Refusal::kUntrustedProxy: return "untrusted_proxy";
    case Refusal::kNoRoute: return "no_route";
    case Refusal::kNoMethod: return "no_method";
    case Refusal::kAddress: return "address";
    case Refusal::kClientRate: return "client_rate";
    case Refusal::kRate: return "rate";
    case Refusal::kContentType: return "content_type";
    case Refusal::kDraining: return "draining";
    case Refusal::kNoRoom: return "no_room";
    case Refusal::kSignatureMissing: return "signature_missing";
    case Refusal::kSignatureDoubled: return "signature_doubled";
    case Refusal::kSignatureMalformed: return "signature_malformed";
    case Refusal::kSignatureStale: return "signature_stale";
    case Refusal::kSignatureWrong: return "signature_wrong";
    case Refusal::kSignatureUnchecked: return "signature_unchecked";
    case Refusal::kBody: return "body";
    case Refusal::kNotStored: return "not_stored";
    case Refusal::kReplyBusy: return "reply_busy";
    case Refusal::kReplyFailed: return "reply_failed";
    case Refusal::kReplyLate: return "reply_late";
  }
  return "malformed";
}

Refusal to_refusal(signature::Verdict verdict) {
  using signature::Verdict;
  switch (verdict) {
    case Verdict::kMissing: return Refusal::kSignatureMissing;
    case Verdict::kDoubled: return Refusal::kSignatureDoubled;
    case Verdict::kMalformed: return Refusal::kSignatureMalformed;
    case Verdict::kStale: return Refusal::kSignatureStale;
    case Verdict::kWrong: return Refusal::kSignatureWrong;
    case Verdict::kAccepted:
    case Verdict::kUnknown: break;
  }
  return Refusal::kSignatureUnchecked;
}

Meter::Source* Meter::find(std::string_view provider) {
  auto found = std::find_if(sources_.begin(), sources_.end(), [&](const auto& source) { return source->provider == provider; });
  return found == sources_.end() ? nullptr : found->get();
}

void Meter::adopt(const RouteTable& routes) {
  for (const auto& route : routes.routes()) {
    if (find(route->provider) == nullptr) sources_.push_back(std::make_shared<Source>(route->provider));
  }
  MutexLock lock(mutex_);
  shown_.assign(sources_.begin(), sources_.end());
}

void Meter::received(std::string_view provider, TypeTable::Id type) {
  if (Source* source = find(provider)) source->received[type].add();
}

std::vector<std::shared_ptr<const Meter::Source>> Meter::sources() const {
  MutexLock lock(mutex_);
  return shown_;
}

void Meter::refused(int status, Refusal reason) {
  auto found = std::find(kStatuses.begin(), kStatuses.end() - 1, status) - kStatuses.begin();
  refused_[static_cast<size_t>(found) * kRefusals + static_cast<size_t>(reason)].add();
}

void Meter::malformed(int status) {
  switch (status) {
    case 408: return refused(status, Refusal::kTooSlow);
    case 413: return refused(status, Refusal::kTooLarge);
    case 503: return refused(status, Refusal::kMemory);
    default: return refused(status, Refusal::kMalformed);
  }
}

}  // namespace postern::ingest
