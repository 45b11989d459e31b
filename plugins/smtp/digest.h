// Digest: once a day a mail of what came, what became of it, and what took longest, by provider, counted from the store.
//
// A durable timer makes it, and sets itself again in the same step; a record remembers up to when the last one reached, so that each covers
// what has come since, also after the gateway was away at that hour.
// Thread-safety: init() in init, activate() in activate; handlers any thread.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <postern/plugin.hpp>
#include <string>
#include <vector>

namespace smtp {

struct DigestOptions {
  std::vector<std::string> to;  // none: no digest
  int at = 7 * 60;              // minutes since midnight by this machine's clock
};

class Digest {
 public:
  // `mail_type` as for Alerts.
  void init(postern::Setup& setup, const DigestOptions& options, std::string mail_type);
  // Sees to it that a timer is set.
  void activate() const;

 private:
  void plan(postern::Delivery& event) const;
  void send(postern::Delivery& timer) const;
  void set_timer(postern::Delivery& delivery, nlohmann::json& plan) const;

  DigestOptions options_;
  std::string mail_type_;
  postern::Publisher publisher_;
  postern::Reports reports_;
};

// The mail, as an order.
nlohmann::json digest_order(const std::vector<postern::ProviderReport>& providers, int64_t from, int64_t to,
                            const std::vector<std::string>& recipients);

}  // namespace smtp
