// Order: a mail as JSON asks for it: the body of `smtp.send`, of POST /api/v1/email/send, and what a subscription's `with:` comes to.
//
//   {"to": "Ann <ann@example.com>" or a list, "cc", "bcc", "reply_to": likewise,
//    "subject": "…", "text": "…", "html": "…",            or
//    "template": "welcome", "data": {…},                   of the configuration; what stands beside it wins
//    "headers": {"X-Campaign": "spring"},
//    "attachments": [{"name": "a.pdf", "content_type": "application/pdf", "content": "<base64>", "content_id": "…"}]}
//
// Files are never read for it: it comes from outside. Errors: throws Refused, naming the field. Thread-safety: pure functions.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "config.h"
#include "message.h"

namespace smtp {

// Without message_id and date, which are the sender's.
Draft read_order(const nlohmann::json& order, const Config& config);

// Members that are given by one text or a list of texts.
std::vector<std::string> read_texts(const nlohmann::json& order, const char* name);

}  // namespace smtp
