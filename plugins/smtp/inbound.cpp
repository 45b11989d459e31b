#include "inbound.h"

#include <curl/curl.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "mail_events.h"
#include "sender.h"
#include "sendgrid_event.h"
#include "sendgrid_signature.h"

namespace smtp {
namespace {

using nlohmann::json;
using postern::Delivery;

constexpr std::string_view kPath = "/api/v1/webhooks/email";
constexpr int kMaxDepth = 60;  // within the gateway's own 64 also as "raw" of an event; what is deeper costs a stack to write again
constexpr std::chrono::seconds kAgain(5);

// Nothing when it is no JSON, or too deep.
json parse(std::string_view text) {
  struct TooDeep {};
  try {
    return json::parse(
        text, [](int depth, json::parse_event_t, json&) { return depth > kMaxDepth ? throw TooDeep() : true; }, false);
  } catch (const TooDeep&) {
    return json(json::value_t::discarded);
  }
}

std::string text_of(const json& object, const char* name) {
  const auto found = object.is_object() ? object.find(name) : object.end();
  return object.is_object() && found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// The recipient as the mail's record has it; SendGrid tells addresses in lower case. Empty: the mail did not go there.
std::string recipient_of(const json& mail, const std::string& address) {
  const auto recipients = mail.find("recipients");
  if (address.empty() || recipients == mail.end() || !recipients->is_object()) return {};
  if (recipients->contains(address)) return address;
  for (const auto& [theirs, state] : recipients->items()) {
    if (curl_strequal(theirs.c_str(), address.c_str()) != 0) return theirs;
  }
  return {};
}

}  // namespace

// A list of entries on its way into the store, some at once, each lot when the one before is there. It lives in the callbacks of its events.
class Inbound::Batch : public std::enable_shared_from_this<Batch> {
 public:
  Batch(postern::Pending pending, json entries, const postern::Publisher& publisher, const postern::Log& log)
      : pending_(std::move(pending)), entries_(std::move(entries)), publisher_(publisher), log_(log) {}

  // On one thread at a time: whoever ends a lot begins the next.
  void publish_lot() {
    left_.store(1);  // this call itself, so that no callback ends the lot while it grows
    for (size_t lot = 0; lot < kAtOnce && next_ < entries_.size(); ++next_) {
      if (!entries_[next_].is_object()) {
        if (skipped_++ == 0) first_skipped_ = next_;
        continue;
      }
      ++lot;
      ++left_;
      if (!publish(read_sendgrid_event(entries_[next_]))) break;
    }
    arrive();
  }

 private:
  bool publish(const MailEvent& event) {
    try {
      publisher_.publish({.type = event.type, .body = event.body, .order_key = event.order_key, .external_id = event.external_id},
                         [self = shared_from_this()](const postern::Published& told) {
                           if (!told.durable) self->fail(std::string(told.error));
                           if (told.duplicate) ++self->duplicates_;
                           self->arrive();
                         });
      return true;
    } catch (const postern::Error& error) {  // full, or the plugin is about to go
      fail(error.what());
      --left_;
      return false;
    }
  }

  void fail(const std::string& why) {
    const std::lock_guard lock(mutex_);
    if (failure_.empty()) failure_ = why.empty() ? "unknown" : why;
  }

  void arrive() {
    if (--left_ > 0) return;
    std::string failure;
    {
      const std::lock_guard lock(mutex_);
      failure = failure_;
    }
    if (!failure.empty()) {
      // The gateway has no room, or goes: it is not this delivery that fails.
      pending_.complete(postern::Outcome::postpone("not all events of it could be stored: " + failure, kAgain));
    } else if (next_ < entries_.size()) {
      publish_lot();
    } else {
      end();
    }
  }

  void end() {
    if (skipped_ > 0) {
      log_.warn("of the " + std::to_string(entries_.size()) + " mail events of " + std::string(pending_.id()) + ", " +
                std::to_string(skipped_) + " are no JSON objects, the first at [" + std::to_string(first_skipped_) +
                "]; the others are handled");
    }
    const json result = {{"events", entries_.size() - skipped_}, {"duplicates", duplicates_.load()}, {"skipped", skipped_}};
    pending_.set_result(result.dump());
    pending_.complete(postern::Outcome::done());
  }

  postern::Pending pending_;
  const json entries_;
  const postern::Publisher publisher_;
  const postern::Log log_;
  size_t next_ = 0, skipped_ = 0, first_skipped_ = 0;
  std::atomic<size_t> left_{0}, duplicates_{0};
  std::mutex mutex_;
  std::string failure_;
};

void Inbound::init(postern::Setup& setup) {
  publisher_ = setup.publisher();
  log_ = setup.log();
  setup.on("inbound", [this](Delivery& delivery) { return take(delivery); });
  setup.on("email.*", &Inbound::enter);
  if (!config_.sendgrid.public_keys.empty()) add_route(setup);
}

void Inbound::add_route(postern::Setup& setup) {
  setup.scheme_functions({.name = "sendgrid",
                          .header = kSendgridSignature,
                          .secrets = config_.sendgrid.public_keys,
                          .verify = [tolerance = config_.sendgrid.tolerance](const postern::Verification& request) {
                            return verify_sendgrid(request, tolerance);
                          }});
  // No id: a signature is another one each time, the body is the same.
  setup.route({.path = kPath,
               .schemes = {{"sendgrid", ""}},
               .content_types = "application/json",
               .type_from = "const:inbound",
               .unordered = true});
}

postern::Outcome Inbound::take(Delivery& delivery) const {
  json entries = parse(delivery.body());
  if (!entries.is_array()) return postern::Outcome::dead("the body is no JSON list of events, or it is deeper than 60 levels");
  if (entries.size() > kMaxEntries) {
    return postern::Outcome::dead("it has " + std::to_string(entries.size()) + " events; a request may have " +
                                  std::to_string(kMaxEntries));
  }
  std::make_shared<Batch>(delivery.detach(), std::move(entries), publisher_, log_)->publish_lot();
  return postern::Outcome::pending();
}

// Mails of others, and those that went before there were records, have none.
void Inbound::enter(Delivery& delivery) {
  const json event = json::parse(delivery.body(), nullptr, false);
  const std::string key = text_of(event, "delivery_id");
  if (key.empty()) return;
  const json mail = json::parse(delivery.get(kMails, key).json, nullptr, false);
  // The whole of it: another gateway's deliveries have the same numbers.
  if (!mail.is_object() || text_of(mail, "message_id") != text_of(event, "message_id")) return;
  const std::string recipient = recipient_of(mail, text_of(event, "recipient"));
  if (recipient.empty()) return;
  const std::string record_key = key + "/" + recipient;
  const postern::Record before = delivery.get(kMailEvents, record_key);
  json record = before ? json::parse(before.json, nullptr, false) : json();
  if (!record.is_object()) record = {{"message_id", mail["message_id"]}, {"recipient", recipient}};
  if (enter_mail_event(record, event)) delivery.put(kMailEvents, record_key, record.dump(), before.version);
}

bool Inbound::is_about_a_notification(Delivery& delivery) {
  if (!delivery.short_type().starts_with("email.")) return false;
  const std::string key = text_of(json::parse(delivery.body(), nullptr, false), "delivery_id");
  if (key.empty()) return false;
  const json mail = json::parse(delivery.get(kMails, key).json, nullptr, false);
  return text_of(mail, "event_type").starts_with("email.");
}

}  // namespace smtp
