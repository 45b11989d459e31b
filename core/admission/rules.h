// Rules: what a request must meet before anything costly is done for it: its client's address, the route's rate, its content type
// and encoding. Cheap refusals first.
// Thread-safety: any thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/admission/address_list.h"
#include "core/admission/token_bucket.h"
#include "core/http/request.h"
#include "core/http/response.h"

namespace postern::admission {

struct Rules {
  AddressList allow;                       // empty: everybody
  std::shared_ptr<TokenBucket> rate;       // null: unlimited
  std::vector<std::string> content_types;  // "application/json"; empty: any

  // The refusal, or nothing. `client`: its numeric address.
  std::optional<http::Response> refuse(const http::Request& head, const std::string& client, int64_t now_us) const;
};

}  // namespace postern::admission
