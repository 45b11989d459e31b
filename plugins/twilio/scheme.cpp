#include "scheme.h"

#include <algorithm>
#include <stdexcept>

#include "hints.h"
#include "message.h"
#include "text.h"

namespace twilio {
namespace {

using postern::Request;
using postern::Verification;

enum class Kind { kUrl, kHandshake, kForm, kOther };

// What a request carries beside its URL, and what of that is signed.
struct Content {
  Kind kind = Kind::kUrl;
  std::vector<Parameter> form;
  std::string parameters;  // of the form, as they are signed
  std::vector<std::string_view> body_digests;  // each bodySHA256 of the query
};

// Blanks around it and its case do not count.
bool is_word(std::string_view text, std::string_view lower) {
  size_t first = text.find_first_not_of(" \t");
  size_t last = text.find_last_not_of(" \t");
  text = first == text.npos ? std::string_view() : text.substr(first, last - first + 1);
  return std::equal(text.begin(), text.end(), lower.begin(), lower.end(),
                    [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a + ('a' - 'A') : a) == b; });
}

bool is_form_type(std::string_view content_type) {
  return is_word(content_type.substr(0, content_type.find(';')), "application/x-www-form-urlencoded");
}

// RFC 6455, section 4.2.1: whether the gateway takes it for one that is well made, is not our business here.
bool is_handshake(const Request& request) {
  if (request.method() != "GET" || !request.body().empty()) return false;
  std::string_view list = request.header("upgrade").value_or("");
  while (!list.empty()) {
    size_t comma = std::min(list.find(','), list.size());
    if (is_word(list.substr(0, comma), "websocket")) return true;
    list.remove_prefix(std::min(list.size(), comma + 1));
  }
  return false;
}

Variants variants_for(const Content& content) { return content.kind == Kind::kHandshake ? &handshake_urls : &signed_urls; }

Kind kind_of(const Request& request, const std::vector<Parameter>& form) {
  if (is_handshake(request)) return Kind::kHandshake;
  if (request.body().empty()) return Kind::kUrl;
  if (request.method() == "GET" || !is_form_type(request.header("content-type").value_or(""))) return Kind::kOther;
  // A body that the host reads otherwise than we do would pass unsigned.
  bool without_parameters = request.body().find_first_not_of('&') == std::string_view::npos;
  bool one_type = !request.header("content-type", 1);
  return one_type && form.empty() == without_parameters ? Kind::kForm : Kind::kOther;
}

Content read_content(const Request& request) {
  Content content;
  std::vector<Parameter> form = request.form();
  content.kind = kind_of(request, form);
  if (content.kind == Kind::kForm) content.form = std::move(form);
  content.parameters = parameter_text(content.form);
  content.body_digests = query_values(request.target(), "bodySHA256");
  return content;
}

std::optional<Digest> read_signature(const Verification& request) {
  auto header = request.header(kSignatureHeader);
  if (!header) return request.explain("no header " + std::string(kSignatureHeader)), std::nullopt;
  if (request.header(kSignatureHeader, 1)) {
    request.explain("the header " + std::string(kSignatureHeader) + " is there more than once");
    return std::nullopt;
  }
  auto digest = decode_base64(*header);
  if (!digest) {
    request.explain("the signature has " + std::to_string(header->size()) +
                    " characters or is not standard base64: it must be 28 characters, the base64 of an HMAC-SHA1");
  }
  return digest;
}

void explain_kind(const Verification& request, const Content& content) {
  if (!request.explaining()) return;
  switch (content.kind) {
    case Kind::kUrl:
      return request.explain("no body: the URL alone is signed");
    case Kind::kHandshake:
      return request.explain("WebSocket handshake: the URL alone is signed, as wss or https, with or without a '/' at the end of its path");
    case Kind::kForm:
      return request.explain("form with " + std::to_string(content.form.size()) +
                             " parameters: the URL and the sorted parameters (" +
                             std::to_string(content.parameters.size()) + " bytes) are signed");
    case Kind::kOther:
      return request.explain("body that is no form (content type '" +
                             printable(request.header("content-type").value_or(""), 80) +
                             "'): the URL alone is signed, and bodySHA256 in its query must be the body's SHA-256");
  }
}

bool check_body(const Verification& request, const Content& content) {
  size_t count = content.body_digests.size();
  if (count == 0) {
    if (content.kind != Kind::kOther) return true;
    request.explain("no bodySHA256 in the query: nothing signs this body");
    return false;
  }
  if (count > 1) {
    request.explain("bodySHA256 is in the query " + std::to_string(count) + " times");
    return false;
  }
  bool fits = equal_secretly(content.body_digests[0], sha256_hex(request.body()));
  if (request.explaining()) {
    request.explain("bodySHA256 " + std::string(fits ? "is" : "is not") + " the SHA-256 of the " +
                    std::to_string(request.body().size()) + " bytes of the body");
  }
  return fits;
}

// Several values: all of them must be ours, or a handler might read another one than was checked.
bool check_account(const Verification& request, const Content& content, std::string_view account_sid) {
  if (account_sid.empty()) return true;
  std::vector<std::string_view> given;
  if (content.kind == Kind::kForm) {
    for (const auto& [name, value] : content.form) {
      if (name == "AccountSid") given.push_back(value);
    }
  } else {
    given = query_values(request.target(), "AccountSid");
  }
  // A handshake carries none, and the token that signs it is an account's own.
  if (given.empty() && content.kind == Kind::kHandshake) return true;
  if (given.empty()) return request.explain("no AccountSid, but account_sid is configured"), false;
  bool ours = std::all_of(given.begin(), given.end(), [&](std::string_view one) { return one == account_sid; });
  if (!ours) request.explain("AccountSid is not the configured account_sid");
  return ours;
}

// Computes every token with every URL, whatever matched before: the time tells nothing about which one it was.
bool check_signature(const Verification& request, const Content& content, const Digest& given) {
  std::vector<std::string> urls = variants_for(content)(request.urls());
  std::vector<char> matches(urls.size());
  for (size_t i = 0; i < urls.size(); ++i) {
    for (std::string_view token : request.secrets()) {
      matches[i] |= static_cast<char>(equal_secretly(hmac_sha1(token, urls[i], content.parameters), given));
    }
  }
  auto match = std::find(matches.begin(), matches.end(), 1);
  if (request.explaining()) {
    if (urls.empty()) request.explain("no URL to check with: gateway.public_url is not set and no trusted proxy told one");
    for (const std::string& url : urls) {
      request.explain("tried " + printable(url) + ": " + std::to_string(url.size() + content.parameters.size()) +
                      " bytes signed, SHA-256 " + sha256_hex(url, content.parameters));
    }
    request.explain("auth tokens tried: " + std::to_string(request.secrets().size()));
    request.explain(match == matches.end()
                        ? "no token and URL give this signature"
                        : "the signature matches for " + printable(urls[static_cast<size_t>(match - matches.begin())]));
  }
  return match != matches.end();
}

}  // namespace

bool verify_request(const Verification& request, std::string_view account_sid) {
  auto given = read_signature(request);
  if (!given) return false;
  Content content = read_content(request);
  explain_kind(request, content);
  bool fits = check_body(request, content);
  fits = check_account(request, content, account_sid) && fits;
  if (!fits && !request.explaining()) return false;
  bool matches = check_signature(request, content, *given);
  if (!matches && request.explaining()) explain_hints(request, content.form, *given, variants_for(content));
  return fits && matches;
}

void sign_request(postern::Signing& request) {
  Content content = read_content(request);
  std::vector<std::string> urls = variants_for(content)(request.urls());
  if (urls.empty()) throw std::runtime_error("the URL that Twilio would call is not known: set gateway.public_url");
  if (content.kind == Kind::kOther && content.body_digests.empty())
    throw std::runtime_error("the body is no form: the query needs its bodySHA256");
  request.add_header(kSignatureHeader, encode_base64(hmac_sha1(request.secret(), urls[0], content.parameters)));
}

}  // namespace twilio
