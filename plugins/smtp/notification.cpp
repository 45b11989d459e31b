#include "notification.h"

#include <curl/curl.h>
#include <glib.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "moments.h"
#include "order.h"
#include "refused.h"

namespace smtp {
namespace {

using nlohmann::json;

constexpr size_t kMaxForms = 1'000;  // beyond it they are made anew each time
constexpr const char* kAddresses[] = {"to", "cc", "bcc", "reply_to"};

TemplateKind kind_of(std::string_view name) {
  if (name == "html") return TemplateKind::kHtml;
  return name == "text" ? TemplateKind::kText : TemplateKind::kSubject;
}

// What comes from outside need not be UTF-8, but a mail must be.
std::string valid(std::string_view text) {
  const std::unique_ptr<char, decltype(&g_free)> made(g_utf8_make_valid(text.data(), static_cast<gssize>(text.size())), &g_free);
  return made.get();
}

std::string decode_form(std::string text) {
  std::replace(text.begin(), text.end(), '+', ' ');
  int size = 0;
  char* decoded = curl_easy_unescape(nullptr, text.data(), static_cast<int>(text.size()), &size);
  const std::unique_ptr<char, decltype(&curl_free)> made(decoded, &curl_free);
  return made ? valid({made.get(), static_cast<size_t>(size)}) : std::string();
}

// A parameter that comes twice counts with its first value.
json form_values(std::string_view body) {
  json values = json::object();
  while (!body.empty()) {
    const std::string_view pair = body.substr(0, body.find('&'));
    body.remove_prefix(std::min(body.size(), pair.size() + 1));
    const size_t equals = pair.find('=');
    const std::string name = decode_form(std::string(pair.substr(0, equals)));
    if (name.empty() || values.contains(name)) continue;
    values[name] = equals == std::string_view::npos ? "" : decode_form(std::string(pair.substr(equals + 1)));
  }
  return values;
}

json data_of(const postern::DeliveryContext& event) {
  json data = json::parse(event.body(), nullptr, false);
  if (!data.is_discarded()) return data;
  const auto type = event.header("content-type");
  if (type && type->starts_with("application/x-www-form-urlencoded")) return form_values(event.body());
  return {{"body", valid(event.body())}};
}

// For people: names and values, as deep as they go.
void list_values(const json& value, const std::string& name, std::string& out) {
  constexpr size_t kMost = 16 << 10;
  if (out.size() > kMost) return;
  if (value.is_object()) {
    for (const auto& [key, member] : value.items()) list_values(member, name.empty() ? key : name + "." + key, out);
  } else if (value.is_array()) {
    for (size_t i = 0; i < value.size(); ++i) list_values(value[i], name + "[" + std::to_string(i) + "]", out);
  } else if (!value.is_null()) {
    out += name + ": " + (value.is_string() ? value.get<std::string>() : value.dump(-1, ' ', false, json::error_handler_t::replace)) + "\n";
  }
}

std::string listing(const json& event) {
  std::string out = event["type"].get<std::string>() + "\n" + event["received_at"].get<std::string>() + "\n\n";
  list_values(event["data"], "", out);
  return out + "\n-- \nEvent " + event["id"].get<std::string>() + " of " + event["provider"].get<std::string>() + "\n";
}

}  // namespace

// A `with:` whose texts are compiled.
struct Notifications::Form {
  json order;  // what is no template
  std::vector<std::pair<std::string, Template>> texts;
  std::vector<std::pair<std::string, std::vector<Template>>> lists;  // of addresses

  void compile(const std::string& name, std::string_view source) { texts.emplace_back(name, Template(kind_of(name), source)); }
};

json values_of(const postern::DeliveryContext& event) {
  return {{"event",
           {{"id", event.id()},
            {"type", event.type()},
            {"provider", event.provider()},
            {"external_id", event.external_id()},
            {"received_at", iso8601(event.received_at())},
            {"data", data_of(event)}}}};
}

std::shared_ptr<const Notifications::Form> Notifications::form_of(std::string_view with) {
  const std::lock_guard lock(mutex_);
  if (const auto found = forms_.find(with); found != forms_.end()) return found->second;
  auto form = std::make_shared<Form>();
  form->order = json::parse(with, nullptr, false);
  if (!form->order.is_object()) throw Refused("the subscription's `with:` must be a mapping with `to`");
  for (const char* name : kAddresses) {
    if (!form->order.contains(name)) continue;
    std::vector<Template> list;
    for (const std::string& source : read_texts(form->order, name)) list.emplace_back(TemplateKind::kSubject, source);
    form->lists.emplace_back(name, std::move(list));
  }
  for (const char* name : {"subject", "text", "html"}) {
    const auto found = form->order.find(name);
    if (found == form->order.end()) continue;
    if (!found->is_string()) throw Refused(std::string(name) + ": it must be a text");
    form->compile(name, found->get<std::string>());
  }
  if (forms_.size() < kMaxForms) forms_.emplace(with, form);
  return form;
}

json Notifications::order_for(std::string_view with, const json& values) {
  const auto form = form_of(with);
  json order = form->order;
  for (const auto& [name, list] : form->lists) {
    json& to = order[name] = json::array();
    for (const Template& one : list) {
      std::string address = one.render(values);
      if (!address.empty()) to.push_back(std::move(address));  // {{event.data.email}} that is not there
    }
  }
  for (const auto& [name, text] : form->texts) order[name] = text.render(values);
  order["data"] = values;
  if (order.contains("template")) return order;
  const json& event = values["event"];
  if (!order.contains("subject")) order["subject"] = event["type"];
  if (!order.contains("text") && !order.contains("html")) order["text"] = listing(event);
  return order;
}

namespace {

// Those that are no templates are looked at as addresses.
void check_addresses(Section& in, const json& order, const char* name) {
  try {
    for (const std::string& source : read_texts(order, name)) {
      if (source.find("{{") == std::string::npos) {
        parse_mailbox(name, source);
      } else {
        Template(TemplateKind::kSubject, source);
      }
    }
  } catch (const std::exception& fault) {
    in.fault(name, fault.what());
  }
}

void check_text(Section& in, const char* name) {
  const json* text = in.any(name);
  if (text == nullptr) return;
  if (!text->is_string()) return in.fault(name, "must be a text");
  try {
    Template(kind_of(name), text->get_ref<const std::string&>());
  } catch (const TemplateFault& fault) {
    in.fault(name, std::string("is no template: ") + fault.what());
  }
}

}  // namespace

void check_notification(std::string_view with, const Config& config, const ReportFault& report) {
  const json order = json::parse(with, nullptr, false);
  Section in(order, "", report);
  if (!in.has("to")) in.fault("", "`with:` needs `to`: whom to mail, as to: office@example.com");
  for (const char* name : kAddresses) {
    if (in.any(name) != nullptr) check_addresses(in, order, name);
  }
  for (const char* name : {"subject", "text", "html"}) check_text(in, name);
  std::string name;
  in.read("template", name, 64);
  if (!name.empty() && !config.templates.contains(name)) in.fault("template", "is none of the plugin's `templates:`");
  const json* headers = in.any("headers");
  const auto is_text = [](const json& one) { return one.is_string(); };
  const bool fits = headers == nullptr || (headers->is_object() && std::all_of(headers->begin(), headers->end(), is_text));
  if (!fits) in.fault("headers", "must be a mapping of names and texts");
  const json* attachments = in.any("attachments");
  if (attachments != nullptr && !attachments->is_array()) in.fault("attachments", "must be a list");
  in.finish();
}

}  // namespace smtp
