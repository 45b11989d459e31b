// Notification: the mail that a subscription sends of an event. Its `with:` is an order (order.h) whose texts are Mustache templates over
//
//   {"event": {"id", "type", "provider", "external_id", "received_at", "data": the body (JSON, or a form's parameters)}}
//
// Only `to` must be there: without a subject it is the event's type, and without text, html or template a listing of what the event has.
// Thread-safety: any thread.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <postern/plugin.hpp>
#include <string>
#include <string_view>

#include "config.h"

namespace smtp {

// What templates see of an event.
nlohmann::json values_of(const postern::DeliveryContext& event);

// Tells what is wrong with a `with:`, before there is an event.
void check_notification(std::string_view with, const Config& config, const ReportFault& report);

class Notifications {
 public:
  // As an order, ready for read_order(). Errors: throws Refused.
  nlohmann::json order_for(std::string_view with, const nlohmann::json& values);

 private:
  struct Form;
  std::shared_ptr<const Form> form_of(std::string_view with);

  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<const Form>, std::less<>> forms_;  // by `with:`, of which a configuration has few
};

}  // namespace smtp
