// Rules: what a request must meet before anything costly is done for it: its client's address, that client's rate and the route's, its
// content type and encoding. Cheap refusals first. The route's rate is looked at before the body is read, but only a request whose signature
// is right takes from it: else anybody could use up the rate of the provider.
// Thread-safety: any thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/admission/address_list.h"
#include "core/admission/client_rate.h"
#include "core/admission/token_bucket.h"
#include "core/http/request.h"
#include "core/http/response.h"

namespace postern::admission {

// 429 with Retry-After.
http::Response too_many_requests(int64_t seconds);

struct Rules {
  AddressList allow;                       // empty: everybody
  std::shared_ptr<ClientRate> rate_per_client;  // null: unlimited
  std::shared_ptr<TokenBucket> rate;       // of all clients together; null: unlimited
  std::vector<std::string> content_types;  // "application/json"; empty: any

  enum class Why { kAddress, kClientRate, kRate, kContentType };
  struct Refused {
    Why why;
    http::Response response;
  };
  // The refusal, or nothing. `client`: its numeric address.
  std::optional<Refused> refuse(const http::Request& head, const std::string& client, int64_t now_us) const;
  // Of a verified request: takes from the route's rate. The refusal where others were faster.
  std::optional<Refused> refuse_verified(int64_t now_us) const;
};

}  // namespace postern::admission
