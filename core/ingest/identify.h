// From a verified request, or from what a plugin publishes, to an event: its id, type and order key, and the key that a duplicate of it
// would have.
// Thread-safety: pure functions; the JSON parser belongs to the calling thread.
#pragma once

#include <string>

#include "core/base/status.h"
#include "core/http/request.h"
#include "core/http/router.h"
#include "core/ingest/event.h"
#include "core/ingest/json_body.h"
#include "core/ingest/route.h"

namespace postern::ingest {

// Bounds of what a provider may call things; anything longer is not an id but an attack or a mistake.
constexpr size_t kMaxIdBytes = 1024;
constexpr size_t kMaxTypeBytes = 200;

// Fills in everything but the body, received_at, remote, dedupe_until and targets.
// kInvalid (422): the body is not JSON or a form where the route reads it as one, a required value is missing, or a value is out of
// bounds; the text contains no input. `scheme`: which one verified it; null: unsigned.
Result<NewEvent> identify(const Route& route, const signature::Scheme* scheme, const http::Request& request,
                          const http::PathParameters& path, JsonParser& parser);

// What a plugin publishes by itself.
struct Publication {
  std::string type, body;
  std::string order_key;    // empty: unordered
  std::string external_id;  // empty: never a duplicate
};
constexpr size_t kMaxPublishedBytes = 4 * 1024 * 1024;  // type and body

// Likewise. kInvalid: it is not JSON, or a value is out of bounds; kLimit: it is too large. The texts say what would do.
Result<NewEvent> identify(const std::string& plugin, Publication publication);

}  // namespace postern::ingest
