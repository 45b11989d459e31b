// postern/request.hpp - an HTTP request in a plugin's hands: to look at, to verify, to sign, to answer. Part of plugin.hpp.
//
// Errors: a call that the host refuses throws Error (Gone when it came too late). Threads: a Request is a view, good as long
// as the handler's call; a PendingReply may move to any thread; one thread at a time uses it.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "abi.h"
#include "ext/client.h"
#include "ext/events.h"
#include "ext/health.h"
#include "ext/http.h"
#include "ext/log.h"
#include "ext/metrics.h"
#include "ext/records.h"
#include "ext/reports.h"
#include "ext/routes.h"
#include "ext/schemes.h"
#include "ext/timers.h"
#include "ext/services.h"
#include "ext/websocket.h"

namespace postern::inline sdk {

using std::chrono::milliseconds;

inline postern_str to_abi(std::string_view text) { return {text.data(), text.size()}; }
inline std::string_view to_view(postern_str text) {
  return text.len == 0 ? std::string_view() : std::string_view(text.ptr, text.len);
}

// The host refused a call.
class Error : public std::runtime_error {
 public:
  Error(postern_status status, const std::string& what) : std::runtime_error(what), status_(status) {}
  postern_status status() const { return status_; }

 private:
  postern_status status_;
};

// The delivery was given up: it is past its deadline, or the plugin is being deactivated. Nothing done through it
// counts.
class Gone : public Error {
 public:
  explicit Gone(const std::string& what) : Error(POSTERN_E_GONE, what) {}
};

namespace detail {

// The host's tables as this plugin sees them; absent ones are null. A plain value, so that a Pending outlives its
// instance.
struct HostTables {
  postern_host_api api{};
  postern_host* host = nullptr;
  const postern_ext_schemes* schemes = nullptr;
  const postern_ext_routes* routes = nullptr;
  const postern_ext_events* events = nullptr;
  const postern_ext_records* records = nullptr;
  const postern_ext_http* http = nullptr;
  const postern_ext_log* log = nullptr;
  const postern_ext_health* health = nullptr;
  const postern_ext_metrics* metrics = nullptr;
  const postern_ext_client* client = nullptr;
  const postern_ext_timers* timers = nullptr;
  const postern_ext_services* services = nullptr;
  const postern_ext_websocket* websocket = nullptr;
  const postern_ext_reports* reports = nullptr;
};

template <typename Table>
const Table& need(const Table* table, const char* id) {
  if (table == nullptr) throw Error(POSTERN_E_UNSUPPORTED, std::string("this gateway has no ") + id);
  return *table;
}

inline void check(postern_status status, std::string_view what) {
  if (status >= 0) return;
  std::string text(what);
  if (status == POSTERN_E_GONE) throw Gone(text + ": too late");
  if (status == POSTERN_E_LIMIT) throw Error(status, text + ": beyond the gateway's bound");
  throw Error(status, text + ": refused (" + std::to_string(status) + ")");
}

}  // namespace detail

// A request, exactly as it was received.
class Request {
 public:
  using Parameter = std::pair<std::string_view, std::string_view>;

  Request(const detail::HostTables& tables, const postern_request* handle)
      : table_(&detail::need(tables.http, POSTERN_EXT_HTTP)), handle_(handle) {}

  std::string_view method() const { return to_view(table_->method(handle_)); }
  std::string_view target() const { return to_view(table_->target(handle_)); }  // raw: "/a%20b?c=d"
  std::string_view body() const { return to_view(table_->body(handle_)); }
  std::string_view remote() const { return to_view(table_->remote(handle_)); }
  std::optional<std::string_view> header(std::string_view name, size_t nth = 0) const {
    postern_str value{};
    if (table_->header(handle_, to_abi(name), nth, &value) != POSTERN_OK) return std::nullopt;
    return to_view(value);
  }
  std::optional<std::string_view> path_parameter(std::string_view name) const {
    postern_str value{};
    if (table_->path_parameter(handle_, to_abi(name), &value) != POSTERN_OK) return std::nullopt;
    return to_view(value);
  }

  // The parameters of a form body, decoded, in the order of the body; not checked to be UTF-8. Empty for other bodies.
  std::vector<Parameter> form() const {
    std::vector<Parameter> parameters;
    postern_str name{}, value{};
    while (table_->form_parameter(handle_, parameters.size(), &name, &value) == POSTERN_OK) {
      parameters.emplace_back(to_view(name), to_view(value));
    }
    return parameters;
  }
  // The first one of that name.
  std::optional<std::string_view> form(std::string_view name) const {
    postern_str key{}, value{};
    for (size_t n = 0; table_->form_parameter(handle_, n, &key, &value) == POSTERN_OK; ++n) {
      if (to_view(key) == name) return to_view(value);
    }
    return std::nullopt;
  }

  // The URLs by which the provider may have called, the likeliest first: see ext/http.h.
  std::vector<std::string_view> urls() const {
    std::vector<std::string_view> urls;
    postern_str url{};
    while (table_->url(handle_, urls.size(), &url) == POSTERN_OK) urls.push_back(to_view(url));
    return urls;
  }

 protected:
  const postern_ext_http* table_;
  const postern_request* handle_;
};

// What a reply route answers.
struct Response {
  uint32_t status = 200;
  std::string body = {};
  std::string content_type = "application/json";
  std::vector<std::pair<std::string, std::string>> headers = {};
};

namespace detail {

inline postern_status send(const postern_ext_http& table, postern_reply* handle, const Response& response) {
  std::vector<postern_str> headers = {to_abi("Content-Type"), to_abi(response.content_type)};
  if (response.content_type.empty()) headers.clear();
  for (const auto& [name, value] : response.headers) {
    headers.push_back(to_abi(name));
    headers.push_back(to_abi(value));
  }
  return table.send(handle, response.status, headers.data(), headers.size(), to_abi(response.body));
}

}  // namespace detail

// An answer that comes later, from any thread. Dropped without one, the client is answered 500.
class PendingReply {
 public:
  PendingReply(const detail::HostTables& tables, const postern_request* request, postern_reply* handle)
      : request_(tables, request), table_(tables.http), handle_(handle) {}
  PendingReply(PendingReply&& other) noexcept
      : request_(other.request_), table_(other.table_), handle_(std::exchange(other.handle_, nullptr)) {}
  PendingReply& operator=(PendingReply&& other) noexcept {
    if (this == &other) return *this;
    drop();
    request_ = other.request_;
    table_ = other.table_;
    handle_ = std::exchange(other.handle_, nullptr);
    return *this;
  }
  ~PendingReply() { drop(); }

  // Until send() or drop(); afterwards it throws Error.
  const Request& request() const {
    if (handle_ == nullptr) throw Error(POSTERN_E_STATE, "the reply was sent or dropped already");
    return request_;
  }

  // False when it came too late: the client was answered meanwhile, by 504. Throws Error for a response that the host refuses;
  // the reply is still to be sent then.
  bool send(const Response& response) {
    if (handle_ == nullptr) return false;
    postern_status status = detail::send(*table_, handle_, response);
    if (status != POSTERN_E_GONE) detail::check(status, "send");
    handle_ = nullptr;
    return status != POSTERN_E_GONE;
  }
  void drop() noexcept {
    postern_reply* handle = std::exchange(handle_, nullptr);
    if (handle != nullptr) table_->drop(handle);
  }
  // Whether it is still to be sent by this object.
  explicit operator bool() const { return handle_ != nullptr; }

 private:
  Request request_;
  const postern_ext_http* table_;
  postern_reply* handle_;
};

// A request that waits for the handler's answer.
class Exchange : public Request {
 public:
  Exchange(const detail::HostTables& tables, const postern_request* request, postern_reply* reply)
      : Request(tables, request), tables_(tables), reply_(reply) {}
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  // From here on the PendingReply is the answer, and whatever the handler returns is dropped. It may be sent on another thread
  // before the handler has returned, so the handler must not touch the Exchange any more. Throws Error when too many are
  // detached already, Gone after the deadline.
  [[nodiscard]] PendingReply detach() {
    if (detached_) throw Error(POSTERN_E_STATE, "detach: the reply is detached already");
    detail::check(table_->detach(reply_), "detach");
    detached_ = true;
    return PendingReply(tables_, handle_, reply_);
  }
  bool detached() const { return detached_; }

 protected:
  const detail::HostTables& tables_;
  postern_reply* reply_;

 private:
  bool detached_ = false;
};

// A request whose signature is to be checked. Compare in constant time, do no I/O.
class Verification : public Request {
 public:
  Verification(const detail::HostTables& tables, const postern_request* request, int64_t now_ms, const postern_str* secrets,
               size_t secrets_len, postern_explain* explain)
      : Request(tables, request), schemes_(tables.schemes), now_(milliseconds(now_ms)), explain_(explain) {
    for (size_t i = 0; i < secrets_len; ++i) secrets_.push_back(to_view(secrets[i]));
  }

  const std::vector<std::string_view>& secrets() const { return secrets_; }
  std::chrono::sys_time<milliseconds> now() const { return now_; }
  // Whether somebody asked why: `postern verify`.
  bool explaining() const { return explain_ != nullptr; }
  // One step, for a person. Never a secret, nor a signature that would be right.
  void explain(std::string_view line) const {
    if (explain_ != nullptr) schemes_->explain(explain_, to_abi(line));
  }

 private:
  const postern_ext_schemes* schemes_;
  std::vector<std::string_view> secrets_;
  std::chrono::sys_time<milliseconds> now_;
  postern_explain* explain_;
};

// A request that is to be signed as the provider would.
class Signing : public Request {
 public:
  Signing(const detail::HostTables& tables, const postern_request* request, int64_t now_ms, std::string_view secret,
          postern_signing* signing)
      : Request(tables, request), schemes_(tables.schemes), now_(milliseconds(now_ms)), secret_(secret), signing_(signing) {}

  std::string_view secret() const { return secret_; }
  std::chrono::sys_time<milliseconds> now() const { return now_; }
  void add_header(std::string_view name, std::string_view value) {
    detail::check(schemes_->add_header(signing_, to_abi(name), to_abi(value)), "add_header");
  }

 private:
  const postern_ext_schemes* schemes_;
  std::chrono::sys_time<milliseconds> now_;
  std::string_view secret_;
  postern_signing* signing_;
};

}  // namespace postern::inline sdk
