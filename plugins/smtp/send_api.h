// SendApi: POST /api/v1/email/send for programs that have a mail to send: an order (order.h), with a bearer token. Each becomes an event
// `smtp.send`; a client that is not sure whether it got through sends it again with the same Idempotency-Key.
// Thread-safety: init() in init; verify any thread.
#pragma once

#include <postern/plugin.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace smtp {

// Whether `authorization` is "Bearer TOKEN" with one of the tokens, compared in constant time.
bool is_authorized(std::string_view authorization, const std::vector<std::string_view>& tokens);

// Without tokens there is no route.
void add_send_api(postern::Setup& setup, const std::vector<std::string>& tokens);

}  // namespace smtp
