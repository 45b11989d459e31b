#include "message.h"

#include <glib.h>

#include <algorithm>
#include <stdexcept>

#include "header_text.h"
#include "mime_parts.h"
#include "refused.h"

namespace smtp {
namespace {

constexpr size_t kMaxSubject = 2'000, kMaxHeaderName = 76, kMaxHeaderValue = 8 << 10, kMaxMessageId = 250;

// Those that the mail has by itself, or that only servers write.
constexpr std::string_view kOwnHeaders[] = {"from",         "to",         "cc",          "bcc",           "reply-to",
                                            "subject",      "date",       "sender",      "received",      "message-id",
                                            "mime-version", "resent-bcc", "return-path", "auto-submitted"};

std::string to_lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = g_ascii_tolower(c);
  return lower;
}

void check_headers(const Draft& draft) {
  if (draft.headers.size() > Message::kMaxHeaders) throw Refused("headers: more than 50");
  for (size_t i = 0; i < draft.headers.size(); ++i) {
    const auto& [name, value] = draft.headers[i];
    const std::string field = "headers[" + std::to_string(i) + "]";
    const bool token = std::all_of(name.begin(), name.end(), [](char c) { return g_ascii_isalnum(c) || c == '-' || c == '_'; });
    if (name.empty() || name.size() > kMaxHeaderName || !token)
      throw Refused(field + ": a header's name must be 1 to 76 letters, digits, '-' and '_'");
    const std::string lower = to_lower(name);
    const bool own = std::find(std::begin(kOwnHeaders), std::end(kOwnHeaders), lower) != std::end(kOwnHeaders);
    if (own || lower.starts_with("content-")) throw Refused(field + ": this header is written by the gateway itself");
    check_line(field, value);
    if (value.size() > kMaxHeaderValue) throw Refused(field + ": its value has more than 8 KiB");
  }
}

void check_text(std::string_view field, std::string_view text) {
  if (text.size() > Message::kMaxText) throw Refused(std::string(field) + ": it has more than 4 MiB");
  if (!text.empty() && text.find('\0') != std::string_view::npos) throw Refused(std::string(field) + ": a NUL byte is not allowed");
  if (!g_utf8_validate_len(text.data(), text.size(), nullptr)) throw Refused(std::string(field) + ": it is not UTF-8");
}

void check_message_id(std::string_view id) {
  const bool visible = std::all_of(id.begin(), id.end(), [](char c) { return c > ' ' && c < 0x7f && c != '<' && c != '>'; });
  const size_t at = id.find('@');
  if (!visible || id.size() > kMaxMessageId || at == 0 || at >= id.size() - 1)
    throw Refused("message_id: it must be of the form unique@domain");
}

void check(const Draft& draft) {
  if (draft.from.address.empty()) throw Refused("from: it is missing");
  if (draft.to.empty() && draft.cc.empty() && draft.bcc.empty()) throw Refused("to: there is no recipient");
  if (draft.text.empty() && draft.html.empty() && draft.attachments.empty())
    throw Refused("text: there is neither text, html nor an attachment");
  if (draft.attachments.size() > Message::kMaxAttachments) throw Refused("attachments: more than 100");
  check_line("subject", draft.subject);
  if (draft.subject.size() > kMaxSubject) throw Refused("subject: it has more than 2000 bytes");
  check_text("text", draft.text);
  check_text("html", draft.html);
  check_headers(draft);
  check_message_id(draft.message_id);
}

struct Content {
  Ref<GMimeObject> root;
  uint64_t bytes = 0;
};

Ref<GMimeObject> as_object(Ref<GMimeMultipart> multipart) { return Ref<GMimeObject>(GMIME_OBJECT(multipart.release())); }

// mixed { alternative { text, related { html, image… } }, attachment… }, of which only what is needed.
Content make_content(const Draft& draft) {
  Content content;
  content.bytes = draft.text.size() + draft.html.size();
  std::vector<Ref<GMimeObject>> images, files;
  for (size_t i = 0; i < draft.attachments.size(); ++i) {
    const Attachment& attachment = draft.attachments[i];
    const std::string field = "attachments[" + std::to_string(i) + "]";
    if (!attachment.content_id.empty() && draft.html.empty()) throw Refused(field + ".content_id: only an image of the html has one");
    uint64_t size = 0;
    auto part = attached_part(field, attachment, Message::kMaxContent - std::min(content.bytes, Message::kMaxContent), size);
    content.bytes += size;
    (attachment.content_id.empty() ? files : images).push_back(std::move(part));
  }
  if (!draft.html.empty()) {
    content.root = text_part("html", draft.html);
    if (!images.empty()) {
      auto related = multipart("related");
      add(related.get(), std::move(content.root));
      for (auto& image : images) add(related.get(), std::move(image));
      g_mime_object_set_content_type_parameter(GMIME_OBJECT(related.get()), "type", "text/html");
      content.root = as_object(std::move(related));
    }
  }
  if (!draft.text.empty() || draft.html.empty()) {
    auto text = text_part("plain", draft.text);
    if (content.root) {
      auto alternative = multipart("alternative");
      add(alternative.get(), std::move(text));
      add(alternative.get(), std::move(content.root));
      text = as_object(std::move(alternative));
    }
    content.root = std::move(text);
  }
  if (!files.empty()) {
    auto mixed = multipart("mixed");
    add(mixed.get(), std::move(content.root));
    for (auto& file : files) add(mixed.get(), std::move(file));
    content.root = as_object(std::move(mixed));
  }
  return content;
}

void set_headers(GMimeMessage* message, const Draft& draft) {
  GMimeObject* object = GMIME_OBJECT(message);
  const std::unique_ptr<GDateTime, decltype(&g_date_time_unref)> date(g_date_time_new_from_unix_utc(draft.date), &g_date_time_unref);
  if (!date) throw Refused("date: no such time");
  g_mime_message_set_date(message, date.get());
  set_raw_header(object, "From", mailbox_list("From", std::span(&draft.from, 1)));
  const std::pair<const char*, const std::vector<Mailbox>&> lists[] = {{"Reply-To", draft.reply_to}, {"To", draft.to}, {"Cc", draft.cc}};
  for (const auto& [name, mailboxes] : lists) {
    if (!mailboxes.empty()) set_raw_header(object, name, mailbox_list(name, mailboxes));
  }
  if (draft.to.empty() && draft.cc.empty()) set_raw_header(object, "To", " undisclosed-recipients:;\n");
  set_raw_header(object, "Subject", unstructured("Subject", draft.subject));
  set_raw_header(object, "Message-ID", " <" + draft.message_id + ">\n");
  if (draft.auto_submitted) set_raw_header(object, "Auto-Submitted", " auto-generated\n");
  for (const auto& [name, value] : draft.headers) set_raw_header(object, name.c_str(), unstructured(name, value));
}

std::vector<std::string> all_recipients(const Draft& draft) {
  std::vector<Mailbox> all;
  for (const auto* list : {&draft.to, &draft.cc, &draft.bcc}) all.insert(all.end(), list->begin(), list->end());
  std::vector<std::string> recipients = unique_addresses(all);
  if (recipients.size() > Message::kMaxRecipients) throw Refused("to: more than 1000 recipients with those of cc and bcc");
  const auto left_out = [&](const std::string& one) { return std::find(draft.only.begin(), draft.only.end(), one) == draft.only.end(); };
  if (!draft.only.empty()) std::erase_if(recipients, left_out);
  return recipients;
}

bool any_beyond_ascii(const Draft& draft) {
  bool any = draft.from.needs_smtputf8;
  for (const auto* list : {&draft.reply_to, &draft.to, &draft.cc, &draft.bcc}) {
    any = any || std::any_of(list->begin(), list->end(), [](const Mailbox& one) { return one.needs_smtputf8; });
  }
  return any;
}

void start_gmime() {
  static const bool started = (g_mime_init(), true);
  static_cast<void>(started);
}

}  // namespace

std::shared_ptr<const Message> Message::compose(const Draft& draft) {
  start_gmime();
  check(draft);
  std::vector<std::string> recipients = all_recipients(draft);
  Content content = make_content(draft);
  const Ref<GMimeMessage> made(g_mime_message_new(FALSE));
  set_headers(made.get(), draft);
  g_mime_message_set_mime_part(made.get(), content.root.get());

  auto message = std::make_shared<Message>(content.bytes + content.bytes / 2);
  message->sender_ = draft.from.address;
  message->recipients_ = std::move(recipients);
  message->needs_smtputf8_ = any_beyond_ascii(draft);
  const std::unique_ptr<GMimeFormatOptions, decltype(&g_mime_format_options_free)> format(g_mime_format_options_new(),
                                                                                          &g_mime_format_options_free);
  g_mime_format_options_set_newline_format(format.get(), GMIME_NEWLINE_FORMAT_DOS);
  if (g_mime_object_write_to_stream(GMIME_OBJECT(made.get()), format.get(), message->spool_.stream()) < 0) {
    throw std::runtime_error("a mail cannot be written: the disk of temporary files may be full, or an attachment cannot be read");
  }
  message->spool_.finish();
  return message;
}

}  // namespace smtp
