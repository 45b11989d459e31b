// Sender: mails out of deliveries. A mail's record ("mails", by the id of the delivery) says who has it, so that whoever has is not mailed
// again when the others are tried once more.
//
//   taken by the server, or refused for good by it    done; the result and the record say so for each recipient
//   some recipients only for now                      those who have it are noted first, then the delivery is tried again for the others
//   fault of the connection, 4xx                      tried again by the policy, with the same Message-ID
//   5xx for everybody, an order that is wrong         dead
//   login or certificate refused                      tried again, which opens the breaker; nobody asks the server for a while: put off
//   no room in line, no connection free in time       put off until there is likely to be one: it costs no attempt, and opens no breaker
//
// Thread-safety: any thread between start() and stop().
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <postern/plugin.hpp>
#include <string>

#include "config.h"
#include "message.h"
#include "transport.h"

namespace smtp {

// Of records, by the id of the delivery: {"event_id", "message_id", "recipients": {ADDRESS: {"state": "accepted", "refused" or "waiting",
// "code", "text", "at"}}, "sent_at"}, times in Unix milliseconds.
inline constexpr const char* kMails = "mails";

class Sender {
 public:
  explicit Sender(const Config& config) : config_(config) {}

  // In init.
  void init(postern::Setup& setup);
  void start();
  void stop(std::chrono::milliseconds drain);

  // Ends the delivery, now or later.
  postern::Outcome send(postern::Delivery& delivery, Draft draft);
  // The same for an order of order.h, which may be wrong.
  postern::Outcome send_order(postern::Delivery& delivery, const nlohmann::json& order);

  // Why no mail leaves at the moment, as the server last said; nothing when it takes them.
  std::optional<std::string> trouble() const;
  size_t waiting() const { return transport_ ? transport_->waiting() : 0; }

 private:
  struct Mail;
  void end(const std::shared_ptr<Mail>& mail, const Outcome& outcome);
  void end_sent(const std::shared_ptr<Mail>& mail, const Outcome& outcome);
  void note_trouble(const Outcome& outcome);
  void keep(postern::Delivery& delivery) const;

  const Config& config_;
  postern::Publisher publisher_;
  postern::Log log_;
  std::unique_ptr<Transport> transport_;
  mutable std::mutex mutex_;
  std::string trouble_;
};

}  // namespace smtp
