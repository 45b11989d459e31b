// orders: keeps each order that a shop sends, and says that it was accepted.
//
// What it needs in gateway.yaml:
//   - name: orders
//     library: orders.so
//     config: {secrets: ["${env:ORDERS_SECRET}"]}
#include <nlohmann/json.hpp>
#include <postern/plugin.hpp>
#include <string>
#include <vector>

namespace {

class Orders final : public postern::Plugin {
  void init(postern::Setup& setup, std::string_view config_json) override {
    const std::vector<std::string> secrets = read_secrets(setup, config_json);
    setup.scheme({.name = "hmac",
                  .header = "x-orders-signature",
                  .format = "sha256={signature}",
                  .signed_bytes = "{body}",
                  .secrets = secrets});
    setup.route({.path = "/api/v1/webhooks/orders",
                 .schemes = {{"hmac", "json:/id"}},
                 .content_types = "application/json",
                 .type_from = "json:/type",
                 .order_key_from = "json:/customer"});
    setup.sample({.name = "order.paid",
                  .target = "/api/v1/webhooks/orders",
                  .body = R"({"id":"{{id}}","type":"order.paid","customer":"c1","total":1250})"});
    setup.on("order.paid", &Orders::paid);
  }

  // Several secrets, so that one can be changed without a webhook refused.
  static std::vector<std::string> read_secrets(postern::Setup& setup, std::string_view config_json) {
    std::vector<std::string> secrets;
    const auto config = nlohmann::json::parse(config_json, nullptr, false);
    const auto list = config.is_object() ? config.value("secrets", nlohmann::json::array()) : nlohmann::json::array();
    for (const auto& secret : list) {
      if (secret.is_string() && !secret.get_ref<const std::string&>().empty()) secrets.push_back(secret);
    }
    if (secrets.empty()) setup.config_fault("/secrets", "needs a list with at least one secret");
    return secrets;
  }

  // May run more than once for an event, and on several threads; what it writes counts once, with its end.
  void paid(postern::Delivery& delivery) {
    const auto order = nlohmann::json::parse(delivery.body(), nullptr, false);
    if (!order.is_object() || !order.contains("total")) throw postern::Dead("the order has no total");
    const postern::Record known = delivery.get("orders", delivery.external_id());
    delivery.put("orders", delivery.external_id(), delivery.body(), known.version);
    delivery.emit("orders.accepted", nlohmann::json({{"order", delivery.external_id()}}).dump());
  }
};

}  // namespace

POSTERN_PLUGIN(Orders, "orders", "0.1.0", "postern.schemes/1", "postern.routes/1", "postern.events/1", "postern.records/1",
               "postern.http/1");
