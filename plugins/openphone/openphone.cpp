// The plugin as a table: schemes, the route, samples, handlers, health. What they do is in the other files.
#include <nlohmann/json.hpp>
#include <postern/plugin.hpp>

#include "config.h"
#include "handlers.h"
#include "samples.h"

namespace openphone {
namespace {

using postern::Delivery;
using postern::Encoding;
using postern::SecretEncoding;
using postern::TimeUnit;

constexpr std::string_view kPath = "/api/v1/webhooks/openphone";

// The conversation, wherever a generation puts it; without one the call or the correspondent.
constexpr std::string_view kOrderKey =
    "json:/data/context/conversationId|json:/data/object/conversationId|json:/data/resource/conversationId|"
    "json:/data/conversationId|json:/data/resource/callId|json:/data/object/callId|json:/data/context/senderIdentifier|"
    "json:/data/object/from|json:/data/resource/from|json:/data/from|json:/data/resource/id|json:/data/object/id|"
    "json:/data/id";

constexpr std::string_view kMessageTypes[] = {"message.received", "message.sent", "message.delivered", "message.failed",
                                              "message.undelivered"};
constexpr std::string_view kCallTypes[] = {"call.ringing",
                                           "call.answered",
                                           "call.completed",
                                           "call.missed",
                                           "call.forwarded",
                                           "call.menu.selected",
                                           "call.recording.completed",
                                           "call.summary.completed",
                                           "call.transcript.completed",
                                           "call.voicemail.completed"};

class OpenPhone final : public postern::Plugin {
 public:
  void init(postern::Setup& setup, std::string_view config_json) override {
    config_ = read_config(config_json, [&](auto pointer, auto text) { setup.config_fault(pointer, text); });
    register_schemes(setup);
    for (const SampleText& sample : kSamples) setup.sample({.name = sample.name, .target = kPath, .body = sample.body});
    for (std::string_view type : kMessageTypes) setup.on(type, &handle_message);
    for (std::string_view type : kCallTypes) setup.on(type, &handle_call);
    setup.on("opt_out", [](Delivery&) {});  // our own follow-on event, for subscribers
    setup.on("*", &OpenPhone::unknown);
    setup.critical("message.received");  // what a customer wrote, and that they want to hear no more
    setup.critical("opt_out");
    setup.health("openphone", [this] { return health(); });
  }

 private:
  // Only schemes with secrets exist; `postern send` signs with the first one.
  void register_schemes(postern::Setup& setup) {
    std::vector<postern::RouteScheme> schemes;
    if (!config_.webhook_secrets.empty()) {
      setup.scheme({.name = "standard",
                    .header = "webhook-signature",
                    .format = "v1,{signature}",
                    .separator = " ",
                    .timestamp_header = "webhook-timestamp",
                    .id_header = "webhook-id",
                    .signed_bytes = "{id}.{timestamp}.{body}",
                    .signature_encoding = Encoding::kBase64,
                    .secret_encoding = SecretEncoding::kWhsec,
                    .tolerance_s = 300,
                    .secrets = config_.webhook_secrets});
      schemes.push_back({"standard", "header:webhook-id"});
    }
    if (!config_.signing_keys.empty()) {
      setup.scheme({.name = "legacy",
                    .header = "openphone-signature",
                    .format = "hmac;1;{timestamp};{signature}",
                    .separator = ",",
                    .signed_bytes = "{timestamp}.{body}",
                    .signature_encoding = Encoding::kBase64,
                    .secret_encoding = SecretEncoding::kBase64,
                    .timestamp_unit = TimeUnit::kMilliseconds,
                    .tolerance_s = 300,
                    .secrets = config_.signing_keys});
      schemes.push_back({"legacy", "json:/id"});
    }
    if (!config_.shared_secrets.empty()) {
      setup.scheme({.name = "shared",
                    .header = "x-openphone-signature",
                    .timestamp_header = "x-openphone-timestamp",
                    .signed_bytes = "{timestamp}.{body}",
                    .tolerance_s = 300,
                    .secrets = config_.shared_secrets});
      schemes.push_back({"shared", "json:/id"});
    }
    if (schemes.empty()) return;  // a fault of the configuration, reported already
    setup.route({.path = kPath,
                 .schemes = schemes,
                 .content_types = "application/json",
                 .type_from = "json:/type",
                 .order_key_from = kOrderKey});
  }

  void unknown(Delivery& delivery) {
    log().info("no handler for " + std::string(delivery.type()) + ", event " + std::string(delivery.id()) +
               ": stored only");
  }

  postern::Health health() const {
    nlohmann::json counts = {{"webhook_secrets", config_.webhook_secrets.size()},
                             {"signing_keys", config_.signing_keys.size()},
                             {"shared_secrets", config_.shared_secrets.size()}};
    return {postern::Health::kConfigured, "webhooks are verified", counts.dump()};
  }

  Config config_;
};

}  // namespace
}  // namespace openphone

POSTERN_PLUGIN(openphone::OpenPhone, "openphone", POSTERN_PLUGIN_VERSION, POSTERN_EXT_SCHEMES, POSTERN_EXT_ROUTES,
               POSTERN_EXT_EVENTS, POSTERN_EXT_RECORDS, POSTERN_EXT_HTTP);
