// What a provider told of a mail and one of its recipients, as a record: collection "mail_events", key "DELIVERY/RECIPIENT".
//
//   {"message_id": "evt_01J8.dlv_7@example.com", "recipient": "ann@example.com",
//    "state": "delivered", "at": Unix milliseconds, "reason": "250 ok",             processed, deferred, delivered, bounced or dropped
//    "opened_at": …, "clicked_at": …, "complained_at": …, "unsubscribed_at": …}     the first time of each
//
// Events may come in any order and again; the record is the same at the end. An end (delivered, bounced, dropped) is never taken back by a
// state on the way (processed, deferred); otherwise the later one by the provider's clock counts, and of two in the same second the one
// that comes later in a mail's life.
//
// It stands beside the sender's record in "mails", not in it: that has one writer, the delivery that sends the mail, for which a conflict
// would mean to send again. And a mail to a thousand people is a thousand small records rather than a large one written thousands of times.
//
// Thread-safety: pure functions.
#pragma once

#include <nlohmann/json_fwd.hpp>

namespace smtp {

constexpr const char* kMailEvents = "mail_events";

// Enters an event's body (sendgrid_event.h) into the record. False: it says nothing new.
bool enter_mail_event(nlohmann::json& record, const nlohmann::json& event);

}  // namespace smtp
