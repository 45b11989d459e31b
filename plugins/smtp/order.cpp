#include "order.h"

#include <openssl/evp.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <postern/unknown_key.hpp>

#include "refused.h"

namespace smtp {
namespace {

using nlohmann::json;

constexpr size_t kShown = 64;  // of a name that comes from outside
constexpr std::string_view kMembers[] = {"to",   "cc",       "bcc",  "reply_to", "subject",    "text",
                                         "html", "template", "data", "headers",  "attachments"};
constexpr std::string_view kAttachmentMembers[] = {"name", "content_type", "content", "content_id"};

template <size_t N>
void check_members(const json& object, const std::string_view (&known)[N], const std::string& field) {
  for (const auto& [name, value] : object.items()) {
    if (std::find(std::begin(known), std::end(known), name) != std::end(known)) continue;
    throw Refused(field + postern::unknown_key(name.substr(0, kShown), known));
  }
}

std::string read_text(const json& object, const char* name, const std::string& field) {
  const auto found = object.find(name);
  if (found == object.end() || found->is_null()) return {};
  if (!found->is_string()) throw Refused(field + name + ": it must be a text");
  return found->get<std::string>();
}

std::vector<Mailbox> read_mailboxes(const json& order, const char* name) {
  std::vector<Mailbox> mailboxes;
  const std::vector<std::string> texts = read_texts(order, name);
  if (texts.size() > Message::kMaxRecipients) throw Refused(std::string(name) + ": more than 1000 recipients");
  for (size_t i = 0; i < texts.size(); ++i) {
    mailboxes.push_back(parse_mailbox(texts.size() == 1 ? name : name + ("[" + std::to_string(i) + "]"), texts[i]));
  }
  return mailboxes;
}

std::string decode_base64(const std::string& text, const std::string& field) {
  const std::unique_ptr<EVP_ENCODE_CTX, decltype(&EVP_ENCODE_CTX_free)> context(EVP_ENCODE_CTX_new(), &EVP_ENCODE_CTX_free);
  std::string bytes(text.size() / 4 * 3 + 3, '\0');
  auto* to = reinterpret_cast<unsigned char*>(bytes.data());
  int got = 0, rest = 0;
  EVP_DecodeInit(context.get());
  const bool fits = text.size() <= Message::kMaxContent * 2;
  const auto* from = reinterpret_cast<const unsigned char*>(text.data());
  if (!fits || EVP_DecodeUpdate(context.get(), to, &got, from, static_cast<int>(text.size())) < 0 ||
      EVP_DecodeFinal(context.get(), to + got, &rest) != 1) {
    throw Refused(field + "content: it is not base64");
  }
  bytes.resize(static_cast<size_t>(got + rest));
  return bytes;
}

Attachment read_attachment(const json& one, const std::string& field) {
  if (!one.is_object()) throw Refused(field + ": it must be an object with name and content");
  check_members(one, kAttachmentMembers, field + ": ");
  Attachment attachment;
  attachment.file_name = read_text(one, "name", field + ".");
  attachment.content_type = read_text(one, "content_type", field + ".");
  attachment.content_id = read_text(one, "content_id", field + ".");
  if (!one.contains("content")) throw Refused(field + ".content: it is missing");
  attachment.bytes = decode_base64(read_text(one, "content", field + "."), field + ".");
  return attachment;
}

void read_attachments(const json& order, Draft& draft) {
  const auto found = order.find("attachments");
  if (found == order.end() || found->is_null()) return;
  if (!found->is_array()) throw Refused("attachments: it must be a list");
  if (found->size() > Message::kMaxAttachments) throw Refused("attachments: more than 100");
  for (size_t i = 0; i < found->size(); ++i) {
    draft.attachments.push_back(read_attachment((*found)[i], "attachments[" + std::to_string(i) + "]"));
  }
}

void read_headers(const json& order, Draft& draft) {
  const auto found = order.find("headers");
  if (found == order.end() || found->is_null()) return;
  if (!found->is_object()) throw Refused("headers: it must be an object of names and texts");
  for (const auto& [name, value] : found->items()) {
    if (!value.is_string()) throw Refused("headers: each value must be a text");
    draft.headers.emplace_back(name, value.get<std::string>());
  }
}

// Beneath what the order says itself.
void apply_template(const json& order, const Config& config, Draft& draft) {
  const std::string name = read_text(order, "template", "");
  if (name.empty()) return;
  const auto found = config.templates.find(name);
  if (found == config.templates.end()) throw Refused("template: the configuration has none of this name");
  const json data = order.value("data", json::object());
  const MailTemplate& mail = found->second;
  if (mail.subject) draft.subject = mail.subject->render(data);
  if (mail.text) draft.text = mail.text->render(data);
  if (mail.html) draft.html = mail.html->render(data);
}

void replace(const json& order, const char* name, std::string& text) {
  if (order.contains(name)) text = read_text(order, name, "");
}

}  // namespace

std::vector<std::string> read_texts(const json& order, const char* name) {
  const auto found = order.find(name);
  if (found == order.end() || found->is_null()) return {};
  if (found->is_string()) return {found->get<std::string>()};
  const bool texts = found->is_array() && std::all_of(found->begin(), found->end(), [](const json& one) { return one.is_string(); });
  if (!texts) throw Refused(std::string(name) + ": it must be a text, or a list of texts");
  return found->get<std::vector<std::string>>();
}

Draft read_order(const json& order, const Config& config) {
  if (!order.is_object()) throw Refused("a mail must be a JSON object with to, subject and text");
  check_members(order, kMembers, "");
  Draft draft;
  draft.from = config.from;
  draft.to = read_mailboxes(order, "to");
  draft.cc = read_mailboxes(order, "cc");
  draft.bcc = read_mailboxes(order, "bcc");
  draft.reply_to = read_mailboxes(order, "reply_to");
  if (draft.reply_to.empty() && config.reply_to) draft.reply_to = {*config.reply_to};
  apply_template(order, config, draft);
  replace(order, "subject", draft.subject);
  replace(order, "text", draft.text);
  replace(order, "html", draft.html);
  read_headers(order, draft);
  read_attachments(order, draft);
  return draft;
}

}  // namespace smtp
