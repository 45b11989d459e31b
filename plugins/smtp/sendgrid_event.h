// An entry of what SendGrid's Event Webhook posts, as an event of ours:
//
//   {"event": "email.bounced", "provider": "sendgrid", "recipient": "ann@example.com", "reason": "550 no such user",
//    "time": "2026-11-21T10:00:00Z", "at": the same in Unix milliseconds, "message_id": "evt_01J8.dlv_7@example.com", "delivery_id": "dlv_7",
//    "raw": the entry}
//
// What the entry does not say is left out; delivery_id where the Message-ID is of the form of our own. Thread-safety: pure functions.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace smtp {

struct MailEvent {
  std::string type;         // "email.bounced"
  std::string body;         // JSON
  std::string order_key;    // the Message-ID: what happens to a mail is handled in the order of its arrival
  std::string external_id;  // sg_event_id, or a hash of the entry where it has none
};

// `entry`: an object.
MailEvent read_sendgrid_event(const nlohmann::json& entry);

}  // namespace smtp
