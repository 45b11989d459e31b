// EventRoute: all that ingest knows of one route of a plugin, and the table of them.
// Thread-safety: const access from any thread after the last add().
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/admission/rules.h"
#include "core/base/status.h"
#include "core/http/router.h"
#include "core/ingest/expression.h"
#include "core/ingest/target_table.h"
#include "core/signature/scheme.h"

namespace postern::ingest {

struct EventRoute {
  struct SchemeUse {
    std::shared_ptr<const signature::Scheme> scheme;
    Expression id_from;
  };

  std::string provider;  // the plugin's name
  std::string method, path;
  std::vector<SchemeUse> schemes;  // empty: unsigned
  Expression unsigned_id_from;
  Expression type_from, order_key_from;
  std::vector<Expression> required;
  admission::Rules rules;
  uint64_t max_body = 0;   // bytes
  int64_t wait_ms = 0;     // 0: acknowledge when durable
  int reject_status = 401;
  bool ordered = true;

  // Whether anything is read out of the body, which must then be JSON.
  bool needs_json() const;
  // How the id is found where `scheme` verified the request (null: unsigned).
  const Expression& id_from(const signature::Scheme* scheme) const;
};

class RouteTable {
 public:
  Status add(EventRoute route);
  const http::Router& router() const { return router_; }
  const EventRoute& route(http::Router::Id id) const { return *routes_[id]; }
  const std::vector<std::unique_ptr<EventRoute>>& routes() const { return routes_; }

 private:
  http::Router router_;
  std::vector<std::unique_ptr<EventRoute>> routes_;
};

}  // namespace postern::ingest
