// Alerts: what the gateway tells of itself (postern.delivery.dead, breaker.opened, backlog.high, plugin.quarantined) as mails for whoever
// looks after it. What comes together is one mail with counts, and within an interval there is one at most, however much goes wrong. What
// tells of this plugin's own deliveries is left out: a mail about mails that do not go would not go either.
//
// Notices are gathered in a record, and a durable timer sends them, so that none is lost with the process and none is mailed twice.
// Thread-safety: init() in init; handlers any thread.
#pragma once

#include <chrono>
#include <nlohmann/json_fwd.hpp>
#include <postern/plugin.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace smtp {

struct AlertOptions {
  std::vector<std::string> to;  // none: no alerts
  std::vector<std::string> on;  // "delivery.dead"; of kAlertTypes
  std::chrono::milliseconds gather{10'000};        // from the first one on, for what comes with it
  std::chrono::milliseconds interval{15 * 60'000};  // between two mails
};
inline constexpr std::string_view kAlertTypes[] = {"delivery.dead", "breaker.opened", "backlog.high", "plugin.quarantined"};

class Alerts {
 public:
  // `mail_type`: of the events that are mailed; their body is an order (order.h).
  void init(postern::Setup& setup, const AlertOptions& options, std::string mail_type);

 private:
  void take(postern::Delivery& notice) const;
  void send(postern::Delivery& timer) const;

  AlertOptions options_;
  std::string plugin_, mail_type_;
};

// The mail for what was gathered, as an order. `gathered`: the record.
nlohmann::json alert_order(const nlohmann::json& gathered, const std::vector<std::string>& to);

}  // namespace smtp
