// Route: all that ingest knows of one route of a plugin, and the table of them.
// Thread-safety: const access from any thread after the last add().
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/admission/rules.h"
#include "core/base/status.h"
#include "core/http/router.h"
#include "core/ingest/call_pool.h"
#include "core/ingest/expression.h"
#include "core/ingest/reply.h"
#include "core/ingest/target_table.h"
#include "core/signature/scheme.h"

namespace postern::ingest {

struct Route {
  enum class Kind {
    kEvent,      // acknowledged when durable
    kReply,      // answered by the plugin
    kWebsocket,  // likewise, or accepted
  };
  struct SchemeUse {
    std::shared_ptr<const signature::Scheme> scheme;  // null until a `foreign` one has been found
    Expression id_from;
    std::string foreign = {};  // "PLUGIN:SCHEME" where it is another plugin's
    // Where its functions run: on threads of the plugin whose they are. Null where it has none.
    std::shared_ptr<CallPool> verifying = {};

    // The plugin that registers it.
    std::string owner(const std::string& provider) const { return foreign.empty() ? provider : foreign.substr(0, foreign.find(':')); }
    // How people know it among all plugins' schemes.
    const std::string& label() const { return foreign.empty() ? scheme->name() : foreign; }
  };

  Kind kind = Kind::kEvent;
  std::string provider;  // the plugin's name
  std::string method, path;
  std::vector<SchemeUse> schemes;  // empty: unsigned
  Expression unsigned_id_from;
  Expression type_from, order_key_from;
  Expression content_from;  // what makes two requests without an id the same; empty: the whole body
  std::vector<Expression> required;
  admission::Rules rules;
  uint64_t max_body = 0;   // bytes
  int64_t wait_ms = 0;     // 0: acknowledge when durable
  int reject_status = 401;
  bool ordered = true;
  int64_t dedupe_window_ms = 0;  // how long a repeated event is recognised; 0: the gateway's

  // Reply and WebSocket routes.
  ReplyHandler reply;
  int64_t deadline_ms = 10'000;
  bool recorded = false;  // the request is an event as well

  // Where its reply handler runs. Null where there is none.
  std::shared_ptr<CallPool> replying;

  // Whether a client waits for the plugin.
  bool asks_plugin() const { return kind != Kind::kEvent; }
  // Whether requests become events.
  bool stores() const { return kind == Kind::kEvent || recorded; }
  // Whether anything is read out of the body as JSON, or as a form; it must then be such a one.
  bool needs_json() const { return uses(Expression::Source::kJson); }
  bool needs_form() const { return uses(Expression::Source::kForm); }
  // How the id is found where `scheme` verified the request (null: unsigned).
  const Expression& id_from(const signature::Scheme* scheme) const;

 private:
  bool uses(Expression::Source source) const;
};

class RouteTable {
 public:
  Status add(Route route);
  const http::Router& router() const { return router_; }
  const Route& route(http::Router::Id id) const { return *routes_[id]; }
  const std::vector<std::unique_ptr<Route>>& routes() const { return routes_; }

 private:
  http::Router router_;
  std::vector<std::unique_ptr<Route>> routes_;
};

}  // namespace postern::ingest
