// The plugin as a table: what it takes, and its health. What they do is in the other files.
#include <nlohmann/json.hpp>
#include <postern/plugin.hpp>

#include "config.h"
#include "inbound.h"
#include "notification.h"
#include "probe.h"
#include "refused.h"
#include "send_api.h"
#include "sender.h"
#include "upkeep.h"

namespace smtp {
namespace {

using postern::Delivery;

class Smtp final : public postern::Plugin {
 public:
  void init(postern::Setup& setup, std::string_view config_json) override {
    config_ = read_config(config_json, [&](auto pointer, auto text) { setup.config_fault(pointer, text); });
    for (const postern::SubscriptionEntry& one : setup.subscriptions()) {
      check_notification(one.with, config_, [&](auto pointer, auto text) { setup.subscription_fault(one.number, pointer, text); });
    }
    const std::string mail = std::string(setup.plugin_name()) + ".send";
    sender_.init(setup);
    setup.subscribe("send", mail, &Smtp::send);  // whoever emits it
    setup.on_subscription(&Smtp::notify);
    setup.critical(mail);
    add_send_api(setup, config_.api_tokens);
    alerts_.init(setup, config_.alerts, mail);
    digest_.init(setup, config_.digest, mail);
    upkeep_.init(setup, config_.keep);
    inbound_.init(setup);
    setup.health("smtp", [this] { return health(); }, config_.health.every);
  }
  void activate() override {
    sender_.start();
    digest_.activate();
    upkeep_.activate();
  }
  void deactivate(postern::milliseconds drain) override { sender_.stop(drain); }

 private:
  postern::Outcome send(Delivery& delivery) {
    const nlohmann::json order = nlohmann::json::parse(delivery.body(), nullptr, false);
    return sender_.send_order(delivery, order);
  }

  postern::Outcome notify(Delivery& delivery) {
    if (Inbound::is_about_a_notification(delivery)) {
      delivery.set_result(R"({"skipped":"it is about a mail that such an event has caused"})");
      return postern::Outcome::done();
    }
    try {
      return sender_.send_order(delivery, notifications_.order_for(delivery.with(), values_of(delivery)));
    } catch (const Refused& refused) {
      return postern::Outcome::dead(refused.what());
    } catch (const TemplateFault& fault) {
      return postern::Outcome::dead(std::string("a template of the subscription: ") + fault.what());
    }
  }

  postern::Health health() const {
    using postern::Health;
    const Server& server = config_.server;
    const char* tls = server.tls == Tls::kNone ? "none" : server.tls == Tls::kImplicit ? "implicit" : "starttls";
    nlohmann::json details = {{"host", server.host}, {"port", server.port}, {"tls", tls}, {"templates", config_.templates.size()},
                              {"waiting", sender_.waiting()}};
    if (const auto trouble = sender_.trouble()) {
      details["error"] = *trouble;
      return {Health::kUnhealthy, "the mail server refuses our login or has no TLS as it should; see the details", details.dump()};
    }
    if (!config_.health.connect) return {Health::kConfigured, "a mail server is set; health.connect: true tries it", details.dump()};
    const ProbeResult result = probe(server);
    details["class"] = name_of(result.result);
    details["took_ms"] = result.took.count();
    if (result.result == Class::kDone) return {Health::kHealthy, "the mail server takes mails", details.dump()};
    details["error"] = result.text;
    return {Health::kUnhealthy, std::string("the mail server takes no mails (") + name_of(result.result) + ")", details.dump()};
  }

  Config config_;
  Sender sender_{config_};
  Inbound inbound_{config_};
  Notifications notifications_;
  Alerts alerts_;
  Digest digest_;
  Upkeep upkeep_;
};

}  // namespace
}  // namespace smtp

POSTERN_PLUGIN(smtp::Smtp, "smtp", POSTERN_PLUGIN_VERSION, POSTERN_EXT_ROUTES, POSTERN_EXT_SCHEMES, POSTERN_EXT_EVENTS,
               POSTERN_EXT_RECORDS, POSTERN_EXT_HTTP, POSTERN_EXT_HEALTH, POSTERN_EXT_TIMERS, POSTERN_EXT_REPORTS);
