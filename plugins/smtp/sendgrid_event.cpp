#include "sendgrid_event.h"

#include <glib.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace smtp {
namespace {

using nlohmann::json;

constexpr size_t kMaxKind = 40, kMaxAddress = 320, kMaxMessageId = 998, kMaxId = 200, kMaxReason = 500;
constexpr int64_t kMaxTime = 253'402'300'799;  // the last second of the year 9999

constexpr std::pair<std::string_view, std::string_view> kKinds[] = {
    {"processed", "processed"}, {"deferred", "deferred"},     {"delivered", "delivered"},
    {"bounce", "bounced"},      {"dropped", "dropped"},       {"open", "opened"},
    {"click", "clicked"},       {"spamreport", "complained"}, {"unsubscribe", "unsubscribed"},
};

// Empty where there is none, or no text.
std::string_view text_of(const json& entry, const char* name) {
  const auto found = entry.find(name);
  return found != entry.end() && found->is_string() ? std::string_view(found->get_ref<const std::string&>()) : std::string_view();
}

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) { return (c >= 0 && c < ' ') || c == 0x7f; });
}

// The text, where it is one line of at most so many bytes.
std::string_view line_of(const json& entry, const char* name, size_t most) {
  const std::string_view text = text_of(entry, name);
  return text.size() <= most && !has_control(text) ? text : std::string_view();
}

// Types are names: what subscriptions match, and what is shown.
bool is_word(std::string_view text) {
  const auto is_letter = [](char c) { return c >= 'a' && c <= 'z'; };
  return !text.empty() && text.size() <= kMaxKind && is_letter(text[0]) &&
         std::all_of(text.begin(), text.end(), [&](char c) { return is_letter(c) || (c >= '0' && c <= '9') || c == '_'; });
}

std::string type_of(const json& entry) {
  const std::string_view kind = text_of(entry, "event");
  for (const auto& [theirs, ours] : kKinds) {
    if (kind == theirs) return "email." + std::string(ours);
  }
  return "email." + std::string(is_word(kind) ? kind : "unknown");
}

std::string hash_of(const json& entry) {
  const std::string text = entry.dump();
  std::array<unsigned char, 32> digest{};
  if (EVP_Digest(text.data(), text.size(), digest.data(), nullptr, EVP_sha256(), nullptr) != 1)
    throw std::runtime_error("OpenSSL computes no SHA-256");
  std::string hex = "sha256:";
  for (const unsigned char byte : digest) hex.append(1, "0123456789abcdef"[byte >> 4]).append(1, "0123456789abcdef"[byte & 15]);
  return hex;
}

std::string iso8601(int64_t unix_seconds) {
  const time_t seconds = unix_seconds;
  tm parts{};
  char text[32];
  gmtime_r(&seconds, &parts);
  return {text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

std::optional<int64_t> time_of(const json& entry) {
  const auto found = entry.find("timestamp");
  if (found == entry.end() || !found->is_number_integer() || *found < 1 || *found > kMaxTime) return std::nullopt;
  return found->get<int64_t>();
}

// One line, cut between characters.
std::string reason_of(const json& entry) {
  std::string text(text_of(entry, "reason"));
  if (text.empty()) text = text_of(entry, "response");
  if (text.size() > kMaxReason) {
    const char* const end = g_utf8_find_prev_char(text.data(), text.data() + kMaxReason + 1);
    text.resize(end == nullptr ? 0 : static_cast<size_t>(end - text.data()));
  }
  std::replace_if(text.begin(), text.end(), [](char c) { return (c >= 0 && c < ' ') || c == 0x7f; }, ' ');
  return text;
}

std::string_view message_id_of(const json& entry) {
  std::string_view id = line_of(entry, "smtp-id", kMaxMessageId + 2);
  if (id.starts_with('<') && id.ends_with('>')) id = id.substr(1, id.size() - 2);
  return id;
}

// "dlv_7" of "evt_01J8.dlv_7@example.com", as the sender writes them; empty for those of others.
std::string_view delivery_of(std::string_view message_id) {
  constexpr std::string_view kEvent = "evt_", kPrefix = "dlv_";
  constexpr size_t kMaxDigits = 19;
  std::string_view local = message_id.substr(0, message_id.find('@'));
  if (local.size() == message_id.size() || !local.starts_with(kEvent)) return {};
  local.remove_prefix(local.rfind('.') + 1);
  if (!local.starts_with(kPrefix)) return {};
  const std::string_view digits = local.substr(kPrefix.size());
  const bool ours = !digits.empty() && digits.size() <= kMaxDigits &&
                    std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; });
  return ours ? local : std::string_view();
}

}  // namespace

MailEvent read_sendgrid_event(const json& entry) {
  MailEvent event;
  event.type = type_of(entry);
  event.order_key = message_id_of(entry);
  event.external_id = line_of(entry, "sg_event_id", kMaxId);
  if (event.external_id.empty()) event.external_id = hash_of(entry);
  json body = {{"event", event.type}, {"provider", "sendgrid"}};
  const auto add = [&](const char* name, std::string_view text) {
    if (!text.empty()) body[name] = text;
  };
  add("recipient", line_of(entry, "email", kMaxAddress));
  add("reason", reason_of(entry));
  add("message_id", event.order_key);
  add("delivery_id", delivery_of(event.order_key));
  if (const auto time = time_of(entry)) {
    body["time"] = iso8601(*time);
    body["at"] = *time * 1'000;
  }
  body["raw"] = entry;
  event.body = body.dump();
  return event;
}

}  // namespace smtp
