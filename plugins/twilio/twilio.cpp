// The plugin as a table: the scheme, routes, samples, handlers, health. What they do is in the other files.
#include <nlohmann/json.hpp>
#include <postern/plugin.hpp>
#include <stdexcept>

#include "call_updates.h"
#include "calls.h"
#include "config.h"
#include "samples.h"
#include "scheme.h"
#include "stream_token.h"
#include "twiml.h"

namespace twilio {
namespace {

using postern::Delivery;

constexpr std::string_view kIncomingCall = "/api/v1/webhooks/incoming-call";
constexpr std::string_view kCallStatus = "/api/v1/webhooks/call-status";
constexpr std::string_view kForm = "application/x-www-form-urlencoded";
constexpr uint64_t kMaxBody = 256 * 1024;

class Twilio final : public postern::Plugin {
 public:
  void init(postern::Setup& setup, std::string_view config_json) override {
    config_ = read_config(config_json, [&](auto pointer, auto text) { setup.config_fault(pointer, text); });
    public_url_ = setup.public_url();
    if (public_url_.empty() && !setup.trusts_proxies()) {
      setup.config_fault("",
                         "gateway.public_url is needed: Twilio signs the URL that it calls (or set gateway.trusted_proxies)");
    }
    if (!config_.auth_tokens.empty()) register_routes(setup);  // else a fault, reported already
    updates_.init(setup, config_);
    voice_ = setup.acquire_optional(kVoice);
    setup.on("call.incoming", &handle_call);
    setup.on("call.status", &handle_call);
    setup.on("call.ended", [](Delivery&) {});  // our own follow-on event, for subscribers
    setup.on("*", &Twilio::unknown);
    setup.health("twilio", [this] { return health(); });
  }

 private:
  void register_routes(postern::Setup& setup) {
    setup.scheme_functions({.name = "twilio",
                            .header = kSignatureHeader,
                            .secrets = config_.auth_tokens,
                            .verify = [this](const auto& request) { return verify_request(request, config_.account_sid); },
                            .sign = &sign_request});
    setup.reply({.path = kIncomingCall,
                 .schemes = {{"twilio", "form:CallSid"}},
                 .content_types = kForm,
                 .type_from = "const:call.incoming",
                 .order_key_from = "form:CallSid",
                 .required = "form:CallSid",
                 .max_body = kMaxBody,
                 .deadline = std::chrono::seconds(10),
                 .recorded = true},
                &Twilio::answer);
    setup.route({.path = kCallStatus,
                 .schemes = {{"twilio", "form:CallSid+form:CallStatus+form:SequenceNumber"}},
                 .content_types = kForm,
                 .type_from = "const:call.status",
                 .order_key_from = "form:CallSid",
                 .required = "form:CallSid",
                 .max_body = kMaxBody});
    setup.sample({.name = "incoming-call",
                  .target = kIncomingCall,
                  .content_type = kForm,
                  .body = incoming_call_sample(config_.account_sid)});
    setup.sample(
        {.name = "call-status", .target = kCallStatus, .content_type = kForm, .body = call_status_sample(config_.account_sid)});
  }

  postern::Response answer(postern::Exchange& exchange) {
    std::string_view base = public_url_;
    std::vector<std::string_view> urls = exchange.urls();
    if (base.empty() && !urls.empty()) base = base_of(urls[0], kIncomingCall);
    if (base.empty()) throw std::runtime_error("the stream's URL is not known: set gateway.public_url");
    std::string_view call_sid = exchange.form("CallSid").value_or("");
    const std::string token = stream_token(voice_, call_sid);
    StreamParameters parameters{.from = exchange.form("From").value_or(""),
                                .to = exchange.form("To").value_or(""),
                                .call_sid = call_sid,
                                .token = token};
    std::string url = stream_url(base, config_.stream_path);
    return {.body = connect_to_stream(config_.greeting, url, parameters), .content_type = "text/xml"};
  }

  void unknown(Delivery& delivery) {
    log().info("no handler for " + std::string(delivery.type()) + ", event " + std::string(delivery.id()) + ": stored only");
  }

  postern::Health health() const {
    nlohmann::json details = {{"auth_tokens", config_.auth_tokens.size()}, {"account_sid_set", !config_.account_sid.empty()}};
    return {postern::Health::kConfigured, "webhooks are verified", details.dump()};
  }

  Config config_;
  std::string public_url_;
  CallUpdates updates_;
  postern::Service voice_;
};

}  // namespace
}  // namespace twilio

POSTERN_PLUGIN(twilio::Twilio, "twilio", POSTERN_PLUGIN_VERSION, POSTERN_EXT_SCHEMES, POSTERN_EXT_ROUTES, POSTERN_EXT_EVENTS,
               POSTERN_EXT_RECORDS, POSTERN_EXT_HTTP, POSTERN_EXT_CLIENT, POSTERN_EXT_SERVICES);
