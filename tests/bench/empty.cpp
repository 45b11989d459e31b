// empty: a plugin that checks, stores and "handles" what postern_load sends, and does nothing with it. What is left is the price of a
// delivery itself, from queued to settled.
#include <nlohmann/json.hpp>
#include <postern/plugin.hpp>

namespace {

class Empty final : public postern::Plugin {
  void init(postern::Setup& setup, std::string_view config_json) override {
    secrets_ = nlohmann::json::parse(config_json).at("webhook_secrets").get<std::vector<std::string>>();
    setup.scheme({.name = "standard",
                  .header = "webhook-signature",
                  .format = "v1,{signature}",
                  .separator = " ",
                  .timestamp_header = "webhook-timestamp",
                  .id_header = "webhook-id",
                  .signed_bytes = "{id}.{timestamp}.{body}",
                  .signature_encoding = postern::Encoding::kBase64,
                  .secret_encoding = postern::SecretEncoding::kWhsec,
                  .tolerance_s = 300,
                  .secrets = secrets_});
    setup.route({.path = "/api/v1/webhooks/empty",
                 .schemes = {{"standard", "header:webhook-id"}},
                 .content_types = "application/json",
                 .type_from = "json:/type",
                 .order_key_from = "json:/data/context/conversationId"});
    setup.on("*", [](postern::Delivery&) {});
  }

  std::vector<std::string> secrets_;
};

}  // namespace

POSTERN_PLUGIN(Empty, "empty", "1.0.0", POSTERN_EXT_SCHEMES, POSTERN_EXT_ROUTES, POSTERN_EXT_EVENTS, POSTERN_EXT_HTTP);
