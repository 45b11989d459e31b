// AdminService: the admin API over the gateway's own HTTP: on a unix socket, guarded by its file's permissions, and on TCP, guarded
// by the token. Answers are made on a thread of their own, since they wait for the disk.
//   GET /admin/v1/status | plugins | routes | events?limit=&before=&type= | events/ID | dead?limit=&before= | dead/SEQ
//   GET /admin/v1/jobs | jobs/ID    POST /admin/v1/jobs/ID/cancel
//   POST /admin/v1/dead/find | dead/replay | dead/drop | events/find | events/replay | events/prune   with JSON; see upkeep_api.h
//   POST /admin/v1/plugins/NAME/release
//   POST /admin/v1/reload       {"reload": its number}; status tells what became of it
//   GET /health, /api/health/…  with details
//   GET /metrics                for Prometheus
// Thread-safety: the loop's thread; the worker only computes.
#pragma once

#include <memory>
#include <string>

#include "core/admin/upkeep_api.h"
#include "core/admin/views.h"
#include "core/admin/worker.h"
#include "core/http/connection_set.h"
#include "core/http/router.h"
#include "core/observe/health.h"

namespace postern::admin {

class AdminService final : public http::Service {
 public:
  struct Parts {
    const Views& views;
    const UpkeepApi& upkeep;
    const observe::HealthBoard& health;
    std::function<uint64_t()> reload;  // asks for one; its number
    // Takes a plugin out of quarantine: {"plugin", "reload": the number of the reload that does it}. kNotFound, or kInvalid where it is in
    // none.
    std::function<Result<nlohmann::json>(const std::string& plugin)> release;
  };
  // `token`: what a bearer must show; empty for the unix socket. `open_metrics`: /metrics needs none.
  AdminService(net::EventLoop& loop, Worker& worker, Parts parts, std::string token, bool open_metrics = false);
  // From the next request on. An empty token does not take the guard away: it leaves the one from before.
  void adopt(const std::string& token, bool open_metrics);
  bool needs_token() const { return !token_.empty(); }

  http::ConnectionSet& connections() { return connections_; }

  Admission on_head(http::Exchange& exchange, const http::Request& head) override;
  void on_request(std::shared_ptr<http::Exchange> exchange) override;
  void on_malformed(const http::Exchange&, int, const char*) override {}
  void on_closed(const http::Connection& connection) override { connections_.remove(connection); }

 private:
  struct Call;
  bool authorized(const http::Request& head) const;
  http::Response answer(const Call& call, const http::Request& request) const;
  Result<nlohmann::json> answer_upkeep(const Call& call, const http::Request& request) const;
  http::Response answer_health(const Call& call) const;

  net::EventLoop& loop_;
  Worker& worker_;
  const Parts parts_;
  std::string token_;
  bool open_metrics_;
  http::Router router_;
  http::ConnectionSet connections_;
};

}  // namespace postern::admin
