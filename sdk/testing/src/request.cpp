// Views of a request: the first half of postern.http's table.
#include <algorithm>

#include "host_state.h"

namespace postern::testing {
namespace {

constexpr std::string_view kFormType = "application/x-www-form-urlencoded";

// The request behind a handle; noted when the plugin may not use it any more.
const RequestView& view(const postern_request* handle) {
  const RequestView& view = *reinterpret_cast<const RequestView*>(handle);
  std::lock_guard lock(view.host->mutex);
  if (!view.ended.empty()) view.host->misuses.push_back("a view of the request " + view.ended);
  return view;
}

unsigned char lower(unsigned char c) { return c >= 'A' && c <= 'Z' ? static_cast<unsigned char>(c + 32) : c; }

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  int letter = lower(static_cast<unsigned char>(c));
  return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

// URL Standard §5.1, for one name or value.
std::string decode(std::string_view text) {
  std::string blanks(text);
  std::replace(blanks.begin(), blanks.end(), '+', ' ');
  return percent_decode(blanks);
}

bool is_form(const Request& request) {
  for (const auto& [name, value] : request.headers) {
    if (!same_name(name, "content-type")) continue;
    std::string_view type = std::string_view(value).substr(0, value.find(';'));
    size_t first = std::min(type.find_first_not_of(" \t"), type.size());
    return same_name(type.substr(first, type.find_last_not_of(" \t") + 1 - first), kFormType);
  }
  return false;
}

std::vector<std::pair<std::string, std::string>> decode_form(std::string_view body) {
  std::vector<std::pair<std::string, std::string>> form;
  while (!body.empty()) {
    size_t end = std::min(body.find('&'), body.size());
    std::string_view pair = body.substr(0, end);
    body.remove_prefix(std::min(end + 1, body.size()));
    if (pair.empty()) continue;
    size_t equals = std::min(pair.find('='), pair.size());
    form.emplace_back(decode(pair.substr(0, equals)), decode(pair.substr(std::min(equals + 1, pair.size()))));
  }
  return form;
}

}  // namespace

bool same_name(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](unsigned char x, unsigned char y) { return lower(x) == lower(y); });
}

bool is_header(std::string_view name, std::string_view value) {
  auto is_token = [](unsigned char c) {
    bool alphanumeric = (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z');
    return alphanumeric || std::string_view("!#$%&'*+-.^_`|~").find(static_cast<char>(c)) != std::string_view::npos;
  };
  auto is_text = [](unsigned char c) { return c == '\t' || (c >= 0x20 && c != 0x7f); };
  return !name.empty() && std::all_of(name.begin(), name.end(), is_token) &&
         std::all_of(value.begin(), value.end(), is_text);
}

std::string percent_decode(std::string_view text) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    int high = text[i] == '%' && i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
    int low = high >= 0 ? hex_digit(text[i + 2]) : -1;
    if (low >= 0) {
      decoded += static_cast<char>(high * 16 + low);
      i += 2;
    } else {
      decoded += text[i];
    }
  }
  return decoded;
}

Request with_urls(const HostState& host, Request request) {
  if (request.urls.empty() && !host.options.public_url.empty()) {
    request.urls.push_back(host.options.public_url + request.target);
  }
  return request;
}

// With the mutex held.
RequestView& HostState::view_of(Request request) {
  RequestView& view = requests.emplace_back();
  view.host = this;
  if (is_form(request)) view.form = decode_form(request.body);
  view.request = std::move(request);
  return view;
}

postern_str request_method(const postern_request* handle) { return to_abi(view(handle).request.method); }
postern_str request_target(const postern_request* handle) { return to_abi(view(handle).request.target); }
postern_str request_body(const postern_request* handle) { return to_abi(view(handle).request.body); }
postern_str request_remote(const postern_request* handle) { return to_abi(view(handle).request.remote); }

postern_status request_header(const postern_request* handle, postern_str name, size_t nth, postern_str* value) {
  for (const auto& [key, text] : view(handle).request.headers) {
    if (!same_name(key, to_view(name)) || nth-- != 0) continue;
    *value = to_abi(text);
    return POSTERN_OK;
  }
  return POSTERN_E_NOT_FOUND;
}

postern_status request_path_parameter(const postern_request* handle, postern_str name, postern_str* value) {
  const auto& parameters = view(handle).request.path_parameters;
  auto found = parameters.find(to_string(name));
  if (found == parameters.end()) return POSTERN_E_NOT_FOUND;
  *value = to_abi(found->second);
  return POSTERN_OK;
}

postern_status request_form_parameter(const postern_request* handle, size_t nth, postern_str* name,
                                      postern_str* value) {
  const auto& form = view(handle).form;
  if (nth >= form.size()) return POSTERN_E_NOT_FOUND;
  *name = to_abi(form[nth].first);
  *value = to_abi(form[nth].second);
  return POSTERN_OK;
}

postern_status request_url(const postern_request* handle, size_t nth, postern_str* url) {
  const auto& urls = view(handle).request.urls;
  if (nth >= urls.size()) return POSTERN_E_NOT_FOUND;
  *url = to_abi(urls[nth]);
  return POSTERN_OK;
}

}  // namespace postern::testing
