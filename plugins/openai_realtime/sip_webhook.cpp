#include "sip_webhook.h"

#include <algorithm>

#include "base64.h"
#include "json_reader.h"
#include "sip_api.h"

namespace openai_realtime {
namespace {

constexpr std::string_view kPath = "/api/v1/webhooks/openai";
constexpr size_t kMaxAddress = 256;

// Numbers of the range that is set aside for fiction (555-0100 to 555-0199).
constexpr std::string_view kSample =
    R"({"id":"evt_{{id}}","object":"event","created_at":{{unix}},"type":"realtime.call.incoming","data":{"call_id":"rtc_{{id}}",)"
    R"("sip_headers":[{"name":"From","value":"\"Alice\" <sip:+14155550123@sip.example.com>;tag=1"},)"
    R"({"name":"To","value":"<sip:+14155550100@sip.example.com>"},{"name":"Call-ID","value":"{{id}}@sip.example.com"}]}})";

// A secret without the prefix is taken as it is; the scheme reads all of them as base64.
std::vector<std::string> in_whsec(const std::vector<std::string>& secrets) {
  constexpr std::string_view kPrefix = "whsec_";
  std::vector<std::string> all;
  for (const std::string& secret : secrets) {
    all.push_back(secret.starts_with(kPrefix) ? secret : std::string(kPrefix).append(base64_encode(secret)));
  }
  return all;
}

bool is_same(std::string_view name, std::string_view lower) {
  return std::equal(name.begin(), name.end(), lower.begin(), lower.end(),
                    [](unsigned char a, unsigned char b) { return std::tolower(a) == b; });
}

// `"Alice" <sip:+14155550123@example.com;user=phone>;tag=1` (RFC 3261, section 20.10) is "+14155550123", and alice@example.com stays that.
std::string address_in(std::string_view header) {
  header = header.substr(0, 4 * kMaxAddress);
  const size_t open = header.rfind('<');
  if (open != header.npos) header = header.substr(open + 1, header.find('>', open) - open - 1);
  const size_t scheme = header.find(':');
  if (scheme != header.npos) header.remove_prefix(scheme + 1);
  header = header.substr(0, header.find_first_of(";?> "));
  const std::string_view user = header.substr(0, header.find('@'));
  const bool number = !user.empty() && user.find_first_not_of("+0123456789*#") == user.npos;
  return std::string((number ? user : header).substr(0, kMaxAddress));
}

}  // namespace

void register_sip_webhook(const Config& config, postern::Setup& setup) {
  const std::vector<std::string> secrets = in_whsec(config.sip.webhook_secrets);
  if (secrets.empty()) return;  // a fault of the configuration, reported already
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
                .secrets = secrets});
  setup.route({.path = kPath,
               .schemes = {{"standard", "header:webhook-id"}},
               .content_types = "application/json",
               .type_from = "json:/type",
               .order_key_from = "json:/data/call_id"});
  setup.sample({.name = "realtime-call-incoming", .target = kPath, .body = kSample});
}

std::optional<IncomingCall> read_incoming_call(std::string_view body) {
  const auto root = read_object(body);
  const auto data = root ? object_in(*root, "data") : std::nullopt;
  if (!data || !is_sip_call_id(string_in(*data, "call_id"))) return std::nullopt;
  IncomingCall call;
  call.call_id = string_in(*data, "call_id");
  constexpr int64_t kLatest = 100'000'000'000;  // beyond it seconds are none
  const int64_t created = integer_in(*root, "created_at").value_or(0);
  if (created > 0 && created < kLatest) call.created_ms = created * 1'000;
  const auto headers = array_in(*data, "sip_headers");
  if (!headers) return call;
  for (const simdjson::dom::element one : *headers) {
    simdjson::dom::object header;
    if (one.get(header) != simdjson::SUCCESS) continue;
    const std::string_view name = string_in(header, "name"), value = string_in(header, "value");
    if (is_same(name, "from") && call.from.empty()) call.from = address_in(value);
    if (is_same(name, "to") && call.to.empty()) call.to = address_in(value);
    if (is_same(name, "call-id") && call.sip_call_id.empty()) call.sip_call_id = value.substr(0, kMaxAddress);
  }
  return call;
}

}  // namespace openai_realtime
