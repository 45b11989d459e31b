#include "core/ingest/route.h"

#include <algorithm>

namespace postern::ingest {

bool EventRoute::needs_json() const {
  bool uses = type_from.uses_json() || order_key_from.uses_json() || unsigned_id_from.uses_json();
  for (const SchemeUse& use : schemes) uses = uses || use.id_from.uses_json();
  for (const Expression& expression : required) uses = uses || expression.uses_json();
  return uses;
}

const Expression& EventRoute::id_from(const signature::Scheme* scheme) const {
  for (const SchemeUse& use : schemes) {
    if (use.scheme.get() == scheme) return use.id_from;
  }
  return unsigned_id_from;
}

Status RouteTable::add(EventRoute route) {
  if (Status s = router_.add(route.method, route.path, routes_.size()); !s) return s;
  routes_.push_back(std::make_unique<EventRoute>(std::move(route)));
  return Status::ok();
}

}  // namespace postern::ingest
