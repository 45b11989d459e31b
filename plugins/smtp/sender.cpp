#include "sender.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "moments.h"
#include "order.h"
#include "refused.h"

namespace smtp {
namespace {

using nlohmann::json;
using postern::Delivery;

constexpr const char* kProgress = "smtp.progress";
constexpr std::chrono::seconds kNotedWithin(10);

std::string domain_of(const std::string& address) { return address.substr(address.rfind('@') + 1); }

bool is_settled(const std::string& state) { return state != "waiting"; }

// Of one recipient, as records and results have it.
json state_of(const RecipientOutcome& recipient) {
  const char* state = recipient.result == Class::kDone ? "accepted" : recipient.result == Class::kPermanent ? "refused" : "waiting";
  return {{"state", state}, {"code", recipient.code}, {"text", recipient.text}, {"at", unix_ms()}};
}

std::vector<std::string> addresses(const Draft& draft) {
  std::vector<Mailbox> all;
  for (const auto* list : {&draft.to, &draft.cc, &draft.bcc}) all.insert(all.end(), list->begin(), list->end());
  return unique_addresses(all);
}

// Who is not through yet.
std::vector<std::string> left_of(const std::vector<std::string>& all, const json& recipients) {
  std::vector<std::string> left;
  for (const std::string& address : all) {
    const auto found = recipients.find(address);
    if (found == recipients.end() || !is_settled(found->value("state", "waiting"))) left.push_back(address);
  }
  return left;
}

size_t count(const json& recipients, const char* state) {
  const auto is_so = [&](const json& one) { return one.value("state", "") == state; };
  return static_cast<size_t>(std::count_if(recipients.begin(), recipients.end(), is_so));
}

postern::Outcome settle(Delivery& delivery, const json& record) {
  delivery.set_result(record.dump());
  return postern::Outcome::done();
}

}  // namespace

// A mail on its way. Its record is kept as it was read, and written whatever stands there by then: only this delivery writes it, and
// keep(), which comes late at most. A conflict would run the delivery again, and mail again.
struct Sender::Mail {
  Mail(postern::Pending its_pending, std::string its_key, json its_record)
      : pending(std::move(its_pending)), key(std::move(its_key)), record(std::move(its_record)) {}
  postern::Pending pending;
  const std::string key;
  json record;
};

// A mail's own time is bounded by the server's options; a delivery that ends before it does would be mailed again. Mails are tried for four
// days (RFC 5321, 4.5.4.1), but sooner at first.
void Sender::init(postern::Setup& setup) {
  constexpr std::chrono::seconds kMargin(20);
  setup.default_policy({.deadline = config_.server.deadline + config_.server.final_reply + kNotedWithin + kMargin,
                        .attempts = 24,
                        .retry_base = std::chrono::minutes(1),
                        .retry_cap = std::chrono::hours(6)});
  publisher_ = setup.publisher();
  log_ = setup.log();
  setup.on(kProgress, [this](Delivery& delivery) { keep(delivery); });
}

void Sender::start() { transport_ = std::make_unique<Transport>(config_.server); }

void Sender::stop(std::chrono::milliseconds drain) {
  if (transport_) transport_->close(drain);
}

postern::Outcome Sender::send_order(Delivery& delivery, const json& order) {
  try {
    return send(delivery, read_order(order, config_));
  } catch (const Refused& refused) {
    return postern::Outcome::dead(refused.what());
  }
}

postern::Outcome Sender::send(Delivery& delivery, Draft draft) {
  const std::string key(delivery.idempotency_key());
  const postern::Record before = delivery.get(kMails, key);
  json record = before ? json::parse(before.json, nullptr, false) : json();
  if (!record.is_object()) record = {{"event_id", delivery.id()}, {"event_type", delivery.type()}, {"recipients", json::object()}};
  // The event's id is unique across stores, the delivery's is not: a mail must never have the Message-ID of another gateway's.
  draft.message_id = std::string(delivery.id()) + "." + key + "@" + domain_of(draft.from.address);
  draft.date = std::chrono::floor<std::chrono::seconds>(delivery.received_at()).time_since_epoch().count();
  record["message_id"] = draft.message_id;
  const std::vector<std::string> all = addresses(draft);
  if (before) draft.only = left_of(all, record["recipients"]);
  if (!all.empty() && before && draft.only.empty()) return settle(delivery, record);
  std::shared_ptr<const Message> message;
  try {
    message = Message::compose(draft);
  } catch (const Refused& refused) {
    return postern::Outcome::dead(refused.what());
  }
  const uint64_t event_bytes = delivery.body().size();  // which stays in memory as long as the delivery is open
  auto mail = std::make_shared<Mail>(delivery.detach(), key, std::move(record));
  transport_->submit(std::move(message), [this, mail](const Outcome& outcome) { end(mail, outcome); }, event_bytes);
  return postern::Outcome::pending();
}

// On a thread of the transport.
void Sender::end(const std::shared_ptr<Mail>& mail, const Outcome& outcome) {
  using Ended = postern::Outcome;
  note_trouble(outcome);
  // Where an earlier attempt has reached somebody, it is with those who are left as if all had been refused at once.
  const bool others_have_it = count(mail->record["recipients"], "accepted") > 0;
  if (outcome.result == Class::kDone || (outcome.result == Class::kPermanent && others_have_it)) {
    try {
      return end_sent(mail, outcome);
    } catch (const std::exception& error) {  // the delivery was given up meanwhile
      return log_.warn("mail " + mail->key + " was taken by the server, but that could not be noted: it may be mailed again: " + error.what());
    }
  }
  if (outcome.untried) {
    mail->pending.complete(Ended::postpone(outcome.text, outcome.again_after));
  } else {
    mail->pending.complete(outcome.result == Class::kPermanent ? Ended::dead(outcome.text) : Ended::retry(outcome.text));
  }
}

// Some have it, or will never.
void Sender::end_sent(const std::shared_ptr<Mail>& mail, const Outcome& outcome) {
  json& recipients = mail->record["recipients"];
  std::string why;
  for (const RecipientOutcome& one : outcome.recipients) {
    recipients[one.address] = state_of(one);
    if (one.result != Class::kDone && one.result != Class::kPermanent) why = one.text;
  }
  if (count(recipients, "waiting") == 0) {
    mail->record["sent_at"] = unix_ms();
    mail->pending.put(kMails, mail->key, mail->record.dump(), POSTERN_RECORD_ANY);
    mail->pending.set_result(mail->record.dump());
    mail->pending.complete(postern::Outcome::done());
    return;
  }
  const size_t waiting = count(recipients, "waiting");
  why = std::to_string(waiting) + " of " + std::to_string(recipients.size()) + " recipients are refused for now: " + why;
  const json body = {{"key", mail->key}, {"record", mail->record}};
  publisher_.publish({.type = kProgress, .body = body.dump(), .wait = kNotedWithin}, [this, mail, why](const postern::Published& told) {
    if (!told.settled) log_.warn("who has mail " + mail->key + " already could not be noted in time: some may get it twice");
    mail->pending.complete(postern::Outcome::retry(why));
  });
}

// Of our own progress event. It may come late, when a later attempt has written already: only who is settled is news.
void Sender::keep(Delivery& delivery) const {
  const json body = json::parse(delivery.body(), nullptr, false);
  const bool ours = body.is_object() && body.contains("key") && body.contains("record");
  if (!ours) throw postern::Dead("its body is not as this plugin writes it");
  const std::string key = body["key"].get<std::string>();
  const postern::Record before = delivery.get(kMails, key);
  json record = before ? json::parse(before.json, nullptr, false) : json::object();
  if (!record.is_object()) record = json::object();
  json news = body["record"];
  json& recipients = record["recipients"];
  if (!recipients.is_object()) recipients = json::object();
  for (const auto& [address, state] : news["recipients"].items()) {
    if (is_settled(state.value("state", "waiting")) || !recipients.contains(address)) recipients[address] = state;
  }
  news.erase("recipients");
  record.update(news);
  delivery.put(kMails, key, record.dump(), before.version);
}

void Sender::note_trouble(const Outcome& outcome) {
  const std::lock_guard lock(mutex_);
  const bool ill = outcome.result == Class::kAuth || outcome.result == Class::kTls;
  if (ill) trouble_ = std::string(name_of(outcome.result)) + ": " + outcome.text;
  if (outcome.result == Class::kDone) trouble_.clear();
}

std::optional<std::string> Sender::trouble() const {
  const std::lock_guard lock(mutex_);
  if (trouble_.empty()) return std::nullopt;
  return trouble_;
}

}  // namespace smtp
