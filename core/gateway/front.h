// Front: what stands behind the public listeners of one loop: health for everybody, everything else goes to ingest.
// Thread-safety: the loop's thread.
#pragma once

#include <memory>
#include <string>

#include "core/admission/address_list.h"
#include "core/base/log.h"
#include "core/http/connection_set.h"
#include "core/ingest/ingest.h"
#include "core/observe/health.h"

namespace postern::gateway {

class Front final : public http::Service {
 public:
  struct Parts {
    const observe::HealthBoard& health;
    const admission::AddressList& details_for;  // who sees health details
    const admission::AddressList& trusted_proxies;
  };

  Front(net::EventLoop& loop, Parts parts, ingest::Ingest::Parts ingest) : parts_(parts), ingest_(loop, ingest) {}

  http::ConnectionSet& connections() { return connections_; }
  ingest::Ingest& ingest() { return ingest_; }

  Admission on_head(http::Exchange& exchange, const http::Request& head) override;
  void on_request(std::shared_ptr<http::Exchange> exchange) override;
  void on_malformed(const http::Exchange& exchange, int status, const char* why) override;
  void on_closed(const http::Connection& connection) override { connections_.remove(connection); }

 private:
  Parts parts_;
  ingest::Ingest ingest_;
  http::ConnectionSet connections_;
  log::Throttle malformed_{20};
};

}  // namespace postern::gateway
