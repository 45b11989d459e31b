#include "hints.h"

#include <algorithm>

#include "text.h"

namespace twilio {
namespace {

using postern::Verification;

constexpr size_t kMaxHashedBytes = 64 * 1024 * 1024;
constexpr size_t kMaxHosts = 6;
constexpr const char* kNoReason =
    "nor does it match for the URLs that the request's own Host and X-Forwarded-Host headers name: compare the URL set at Twilio "
    "with those above, the auth token with the account's primary one (API keys sign nothing), and the body with the one sent";

// One alteration on the way: what was signed instead, and what to do about it.
struct TargetVariant {
  std::string target;
  std::string_view remedy;  // empty: the target was not altered
};
struct FormVariant {
  std::string parameters;
  std::string_view remedy;
};

std::string replace_all(std::string_view text, std::string_view from, std::string_view to) {
  std::string result;
  for (size_t i = 0; i < text.size();) {
    bool here = text.substr(i).starts_with(from);
    result += here ? to : text.substr(i, 1);
    i += here ? from.size() : 1;
  }
  return result;
}

std::vector<TargetVariant> target_variants(std::string_view target) {
  std::string_view path = target.substr(0, target.find('?'));
  std::string_view query = target.substr(path.size());
  std::vector<TargetVariant> variants = {{std::string(target), ""}};
  if (path.ends_with('/') && path.size() > 1) {
    variants.push_back({std::string(path.substr(0, path.size() - 1)).append(query),
                        "a proxy or a redirect adds the '/' at the end of the path: give Twilio the path as it arrives here"});
  } else {
    variants.push_back({std::string(path).append("/").append(query),
                        "a proxy or a redirect takes the '/' off the end of the path: give Twilio the path as it arrives here"});
  }
  if (query.empty()) return variants;
  const char* blanks = "a proxy writes the blanks of the query otherwise ('+' and %20): let it pass the query on as it is";
  variants.push_back({std::string(path) + replace_all(query, "+", "%20"), blanks});
  variants.push_back({std::string(path) + replace_all(query, "%20", "+"), blanks});
  variants.push_back({std::string(path), "the query is added on the way: the URL that Twilio calls has none"});
  return variants;
}

std::vector<FormVariant> form_variants(const std::vector<Parameter>& form) {
  std::vector<FormVariant> variants = {{parameter_text(form), ""}};
  if (form.empty()) return variants;
  // "%2B1415…" decoded once too often is "+1415…", which is then read as " 1415…".
  std::vector<std::string> values;
  values.reserve(form.size());
  for (const auto& [name, value] : form) {
    values.push_back(std::string(value));
    if (value.starts_with(' ')) values.back()[0] = '+';
  }
  std::vector<Parameter> repaired;
  for (size_t i = 0; i < form.size(); ++i) repaired.emplace_back(form[i].first, values[i]);
  variants.push_back({parameter_text(std::move(repaired)),
                      "a proxy decodes the body and lets '+' stand for itself: let it pass the body on as it is"});
  return variants;
}

bool is_host(std::string_view text) {
  constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:[]";
  return !text.empty() && text.size() <= 255 && text.find_first_not_of(kAllowed) == text.npos;
}

template <typename T>
void add_once(std::vector<T>& list, T value) {
  if (std::find(list.begin(), list.end(), value) == list.end()) list.push_back(std::move(value));
}

// The first entry of a list header: what the proxy next to the provider wrote.
std::string_view first_of(std::string_view list) {
  list = list.substr(0, list.find(','));
  size_t first = list.find_first_not_of(" \t");
  size_t last = list.find_last_not_of(" \t");
  return first == list.npos ? std::string_view() : list.substr(first, last - first + 1);
}

// "https://h.example": where the provider may have called, by the request's own words, then where the configuration says.
std::vector<std::string> origins(const Verification& request) {
  std::vector<std::string> hosts;
  for (const char* name : {"x-forwarded-host", "host"}) {
    for (size_t n = 0; n < kMaxHosts / 2; ++n) {
      std::string_view host = first_of(request.header(name, n).value_or(""));
      if (is_host(host)) add_once(hosts, std::string(host));
    }
  }
  std::vector<std::string> found;
  for (const std::string& host : hosts) {
    for (const char* scheme : {"https://", "http://"}) add_once(found, scheme + host);
  }
  for (std::string_view url : request.urls()) {
    if (url.ends_with(request.target())) url.remove_suffix(request.target().size());
    add_once(found, std::string(url));
  }
  return found;
}

struct Attempt {
  const Verification& request;
  const Digest& given;
  size_t hashed = 0;

  bool matches(const std::string& url, const std::string& parameters) {
    for (std::string_view token : request.secrets()) {
      hashed += url.size() + parameters.size();
      if (hashed > kMaxHashedBytes) return false;
      if (equal_secretly(hmac_sha1(token, url, parameters), given)) return true;
    }
    return false;
  }
};

// `origin` is empty where the gateway knows it already.
void explain_match(const Verification& request, const std::string& url, const std::string& origin, const TargetVariant& target,
                   const FormVariant& form) {
  std::string line = "it would match for " + printable(url);
  if (!origin.empty()) line += ": the provider calls this URL; set gateway.public_url to " + printable(origin);
  request.explain(line);
  for (std::string_view remedy : {target.remedy, form.remedy}) {
    if (!remedy.empty()) request.explain(remedy);
  }
}

}  // namespace

void explain_hints(const Verification& request, const std::vector<Parameter>& form, const Digest& given, Variants variants) {
  std::vector<std::string> configured = signed_urls(request.urls());
  Attempt attempt{request, given};
  std::vector<FormVariant> forms = form_variants(form);
  std::vector<TargetVariant> targets = target_variants(request.target());
  for (const std::string& origin : origins(request)) {
    std::string whole = origin + std::string(request.target());
    bool known = std::find(configured.begin(), configured.end(), whole) != configured.end();
    for (const TargetVariant& target : targets) {
      const std::string altered = origin + target.target;
      for (const std::string& url : variants({altered})) {
        for (const FormVariant& variant : forms) {
          if (attempt.matches(url, variant.parameters)) return explain_match(request, url, known ? "" : origin, target, variant);
        }
      }
    }
  }
  request.explain(attempt.hashed > kMaxHashedBytes ? "the request is too large to look for the reason" : kNoReason);
}

}  // namespace twilio
