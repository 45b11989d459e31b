#include "core/ingest/route.h"

#include <algorithm>

namespace postern::ingest {

bool Route::uses(Expression::Source source) const {
  bool uses = type_from.uses(source) || order_key_from.uses(source) || content_from.uses(source) || unsigned_id_from.uses(source);
  for (const SchemeUse& use : schemes) uses = uses || use.id_from.uses(source);
  for (const Expression& expression : required) uses = uses || expression.uses(source);
  return uses;
}

const Expression& Route::id_from(const signature::Scheme* scheme) const {
  for (const SchemeUse& use : schemes) {
    if (use.scheme.get() == scheme) return use.id_from;
  }
  return unsigned_id_from;
}

Status RouteTable::add(Route route) {
  if (Status s = router_.add(route.method, route.path, routes_.size()); !s) return s;
  routes_.push_back(std::make_unique<Route>(std::move(route)));
  return Status::ok();
}

}  // namespace postern::ingest
