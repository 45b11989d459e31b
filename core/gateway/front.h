// Front: what stands behind the public listeners of one loop: health for everybody, everything else goes to ingest.
// Thread-safety: the loop's thread.
#pragma once

#include <memory>
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
  http::Timeouts timeouts() const { return timeouts_of(generation_->config.deadlines); }

  http::ConnectionSet& connections() { return connections_; }
  ingest::Ingest& ingest() { return ingest_; }

  Admission on_head(http::Exchange& exchange, const http::Request& head) override;
  void on_request(std::shared_ptr<http::Exchange> exchange) override;
  void on_malformed(const http::Exchange& exchange, int status, const char* why) override;
  void on_closed(const http::Connection& connection) override { connections_.remove(connection); }

 private:
  const observe::HealthBoard& health_;
  std::shared_ptr<const Generation> generation_;
  ingest::Ingest ingest_;
  http::ConnectionSet connections_;
  log::Throttle malformed_{20};
};

}  // namespace postern::gateway
