// The plugin as a table: its configuration and its health. What they do is in the other files.
#include <nlohmann/json.hpp>
#include <postern/plugin.hpp>

#include "config.h"
#include "probe.h"

namespace smtp {
namespace {

class Smtp final : public postern::Plugin {
 public:
  void init(postern::Setup& setup, std::string_view config_json) override {
    config_ = read_config(config_json, [&](auto pointer, auto text) { setup.config_fault(pointer, text); });
    setup.health("smtp", [this] { return health(); }, config_.health.every);
  }

 private:
  postern::Health health() const {
    using postern::Health;
    const Server& server = config_.server;
    const char* tls = server.tls == Tls::kNone ? "none" : server.tls == Tls::kImplicit ? "implicit" : "starttls";
    nlohmann::json details = {{"host", server.host}, {"port", server.port}, {"tls", tls}, {"templates", config_.templates.size()}};
    if (!config_.health.connect) return {Health::kConfigured, "a mail server is set; health.connect: true tries it", details.dump()};
    const ProbeResult result = probe(server);
    details["class"] = name_of(result.result);
    details["took_ms"] = result.took.count();
    if (result.result == Class::kDone) return {Health::kHealthy, "the mail server takes mails", details.dump()};
    details["error"] = result.text;
    return {Health::kUnhealthy, std::string("the mail server takes no mails (") + name_of(result.result) + ")", details.dump()};
  }

  Config config_;
};

}  // namespace
}  // namespace smtp

POSTERN_PLUGIN(smtp::Smtp, "smtp", POSTERN_PLUGIN_VERSION, POSTERN_EXT_HEALTH);
