// Front: what stands behind the public listeners of one loop: health for everybody, everything else goes to ingest.
// Thread-safety: the loop's thread.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "core/base/log.h"
#include "core/gateway/generation.h"
#include "core/http/connection_set.h"
#include "core/ingest/ingest.h"
#include "core/observe/health.h"

namespace postern::gateway {

class Front final : public http::Service {
 public:
  Front(net::EventLoop& loop, const observe::HealthBoard& health, std::shared_ptr<const Generation> generation, ingest::EventSink& sink,
        ingest::ResultBoard& results);

  // From the next request on; of connections that are open, deadlines stay as they are.
  void adopt(std::shared_ptr<const Generation> generation);
  http::Timeouts timeouts() const { return timeouts_of(generation_->config); }

  // Whose word on its clients is believed.
  const admission::AddressList& trusted_proxies() const { return generation_->url_source.trusted_proxies; }
  // A connection that is not taken. For log and metrics.
  // Takes from the rate of the client's connections to listeners with TLS.
  bool may_shake_hands(const std::string& peer);
  void turned_away(ingest::Refusal reason, const std::string& peer);
  // One that failed before it began. For metrics; the log has it.
  void bad_start(net::BadStart how);

  http::ConnectionSet& connections() { return connections_; }
  ingest::Ingest& ingest() { return ingest_; }

  Admission on_head(http::Exchange& exchange, const http::Request& head) override;
  void on_request(std::shared_ptr<http::Exchange> exchange) override;
  void on_malformed(const http::Exchange& exchange, int status, const char* why) override;
  void on_closed(const http::Connection& connection) override { connections_.remove(connection); }

 private:
  std::optional<http::Response> refuse_client(const http::Exchange& exchange);

  const observe::HealthBoard& health_;
  std::shared_ptr<const Generation> generation_;
  ingest::Ingest ingest_;
  http::ConnectionSet connections_;
  log::Throttle malformed_{20}, too_often_{5}, turned_away_{5};
};

}  // namespace postern::gateway
