// postern.http/1
#include <postern/ext/http.h>

#include "core/extension/convert.h"
#include "core/extension/handles.h"
#include "core/extension/reply_handles.h"
#include "core/extension/table.h"
#include "core/http/characters.h"

namespace postern::extension {
namespace {

constexpr size_t kMaxAnswer = 4 * 1024 * 1024;

postern_status give(std::optional<std::string_view> found, postern_str* value) {
  *value = found ? borrow(*found) : postern_str{nullptr, 0};
  return found ? POSTERN_OK : POSTERN_E_NOT_FOUND;
}

postern_status header(const postern_request* handle, postern_str name, size_t nth, postern_str* value) {
  return give(request_of(handle).header(view(name), nth), value);
}

postern_status path_parameter(const postern_request* handle, postern_str name, postern_str* value) {
  const http::PathParameters* path = request_of(handle).path;
  if (path != nullptr) {
    for (const auto& [key, text] : *path) {
      if (key == view(name)) return give(text, value);
    }
  }
  return give(std::nullopt, value);
}

postern_status form_parameter(const postern_request* handle, size_t nth, postern_str* name, postern_str* value) {
  return contained([&]() -> postern_status {
    const http::Form& form = request_of(handle).form();
    if (nth >= form.size()) return POSTERN_E_NOT_FOUND;
    *name = borrow(form[nth].first);
    *value = borrow(form[nth].second);
    return POSTERN_OK;
  });
}

postern_status url(const postern_request* handle, size_t nth, postern_str* value) {
  const std::vector<std::string>* urls = request_of(handle).urls;
  bool there = urls != nullptr && nth < urls->size();
  return give(there ? std::optional<std::string_view>((*urls)[nth]) : std::nullopt, value);
}

postern_status read_response(uint32_t status, const postern_str* headers, size_t headers_len, postern_str body, http::Response& response) {
  if (status < 200 || status > 599) return fail(POSTERN_E_INVALID, "an answer's status is 200 to 599");
  if (headers_len % 2 != 0 || (headers == nullptr && headers_len > 0))
    return fail(POSTERN_E_INVALID, "headers come in pairs of name and value");
  size_t bytes = body.len;
  for (size_t i = 0; i < headers_len; i += 2) {
    bytes += headers[i].len + headers[i + 1].len;
    bool fit = headers[i].len > 0 && http::all_chars(view(headers[i]), http::kTokenChar) &&
               http::all_chars(view(headers[i + 1]), http::kFieldChar);
    if (!fit) return fail(POSTERN_E_INVALID, "not a header: a name that is no token, or a control character in a value");
  }
  if (bytes > kMaxAnswer) return fail(POSTERN_E_LIMIT, "an answer has at most 4 MiB");
  response.status = static_cast<int>(status);
  response.body = copy(body);
  for (size_t i = 0; i < headers_len; i += 2) response.headers.emplace_back(copy(headers[i]), copy(headers[i + 1]));
  return POSTERN_OK;
}

postern_status send(postern_reply* handle, uint32_t status, const postern_str* headers, size_t headers_len, postern_str body) {
  return contained([&]() -> postern_status {
    ReplyHandles& handles = ReplyHandles::instance();
    auto reply = handles.find(handle);
    if (!reply) return fail(POSTERN_E_GONE, "the reply was given back before");
    http::Response response;
    if (postern_status bad = read_response(status, headers, headers_len, body, response); bad != POSTERN_OK) return bad;
    Status sent = reply->send(std::move(response));
    handles.release_detached(handle);
    return to_abi(sent);
  });
}

postern_status detach(postern_reply* handle) {
  return contained([&]() -> postern_status {
    return to_abi(ReplyHandles::instance().detach(handle));
  });
}

void drop(postern_reply* handle) {
  contained([&] {
    ReplyHandles& handles = ReplyHandles::instance();
    if (auto reply = handles.find(handle)) reply->drop();
    handles.release_detached(handle);
    return POSTERN_OK;
  });
}

}  // namespace

const void* http() {
  static const postern_ext_http table = [] {
    postern_ext_http t{};
    t.method = [](const postern_request* r) { return borrow(request_of(r).method); };
    t.target = [](const postern_request* r) { return borrow(request_of(r).target); };
    t.body = [](const postern_request* r) { return borrow(request_of(r).body); };
    t.remote = [](const postern_request* r) { return borrow(request_of(r).remote); };
    t.header = header;
    t.path_parameter = path_parameter;
    t.form_parameter = form_parameter;
    t.url = url;
    t.public_url = [](postern_host* host) { return borrow(host->surroundings.public_url); };
    t.trusts_proxies = [](postern_host* host) { return host->surroundings.trusts_proxies ? 1u : 0u; };
    t.send = send;
    t.detach = detach;
    t.drop = drop;
    return t;
  }();
  return &table;
}

}  // namespace postern::extension
