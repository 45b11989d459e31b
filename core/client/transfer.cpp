#include "core/client/transfer.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#include <algorithm>
#include <new>

#include "core/base/clock.h"
#include "core/base/json_text.h"
#include "core/base/version.h"
#include "core/client/address_guard.h"
#include "core/client/system_trust.h"
#include "core/http/characters.h"

namespace postern::client {
namespace {

constexpr size_t kMaxHeaders = 100;
constexpr size_t kMaxRequestHeaderBytes = 32 * 1024;
constexpr size_t kMaxCurlError = 200;
const std::string& agent() {
  static const std::string header = std::string("User-Agent: postern/") + version();
  return header;
}

// The client frames the message, and decides who is called.
constexpr std::string_view kOwnHeaders[] = {"host", "content-length", "transfer-encoding", "connection", "expect", "te",
                                            "trailer", "upgrade", "keep-alive", "proxy-authorization", "proxy-connection"};

std::string to_lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return lower;
}

bool has_header(const Headers& headers, std::string_view name) {
  return std::any_of(headers.begin(), headers.end(), [&](const auto& h) { return to_lower(h.first) == name; });
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  size_t first = text.find_first_not_of(kBlanks);
  return first == std::string_view::npos ? std::string_view() : text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

std::string text_of(const sockaddr* address) {
  char text[INET6_ADDRSTRLEN] = "an address of an unknown family";
  if (address->sa_family == AF_INET) inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(address)->sin_addr, text, sizeof text);
  if (address->sa_family == AF_INET6) inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr, text, sizeof text);
  return text;
}

}  // namespace

Status check(const Request& request) {
  constexpr size_t kMaxMethod = 32;
  bool method = !request.method.empty() && request.method.size() <= kMaxMethod && http::all_chars(request.method, http::kTokenChar);
  if (!method || request.method == "CONNECT" || request.method == "TRACE") return {Code::kInvalid, "not a method that can be called"};
  size_t bytes = request.idempotency_key.size();
  bool fits = http::all_chars(request.idempotency_key, http::kFieldChar);
  for (const auto& [name, value] : request.headers) {
    bytes += name.size() + value.size();
    fits = fits && !name.empty() && http::all_chars(name, http::kTokenChar) && http::all_chars(value, http::kFieldChar);
    std::string lower = to_lower(name);
    if (std::find(std::begin(kOwnHeaders), std::end(kOwnHeaders), lower) != std::end(kOwnHeaders)) {
      return {Code::kInvalid, "the header " + lower + " is the gateway's own"};
    }
  }
  if (!fits) return {Code::kInvalid, "a header's name must be a token, its value without control characters"};
  if (request.headers.size() > kMaxHeaders || bytes > kMaxRequestHeaderBytes) {
    return {Code::kInvalid, "at most 100 headers and 32 KiB of them can be sent"};
  }
  return Status::ok();
}

Transfer::Transfer(const Upstream& upstream, const Request& request, const Destination& to)
    : upstream_(upstream), request_(request), to_(to), easy_(curl_easy_init(), &curl_easy_cleanup) {}

Result<std::unique_ptr<Transfer>> Transfer::make(const Upstream& upstream, const Request& request, const Destination& to,
                                                 int64_t limit_ms, curl_slist* pins, void* tag) {
  std::unique_ptr<Transfer> transfer(new Transfer(upstream, request, to));
  if (Status s = transfer->set_up(limit_ms, pins, tag); !s) return s;
  return transfer;
}

Status Transfer::set_up(int64_t limit_ms, curl_slist* pins, void* tag) {
  CURL* easy = easy_.get();
  bool set = easy != nullptr && curl_easy_setopt(easy, CURLOPT_URL, to_.url.whole.c_str()) == CURLE_OK &&
             curl_easy_setopt(easy, CURLOPT_PRIVATE, tag) == CURLE_OK &&
             curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, curl_error_) == CURLE_OK &&
             curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(std::max<int64_t>(1, limit_ms))) == CURLE_OK &&
             curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(upstream_.connect_ms)) == CURLE_OK &&
             // A name that is still being resolved when the time is up: its thread is let go, not waited for.
             curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L) == CURLE_OK &&
             (pins == nullptr || curl_easy_setopt(easy, CURLOPT_RESOLVE, pins) == CURLE_OK);
  if (set && set_security() && set_method() && set_headers() && set_callbacks()) return Status::ok();
  return {Code::kInternal, "libcurl refuses to be set up"};
}

bool Transfer::set_security() {
  CURL* easy = easy_.get();
  return curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_PROXY, "") == CURLE_OK &&  // nor what the environment names
         curl_easy_setopt(easy, CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED)) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1)) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2)) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L) == CURLE_OK && curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L) == CURLE_OK &&
         set_authorities();
}

bool Transfer::set_authorities() {
  CURL* easy = easy_.get();
  if (!upstream_.ca_file.empty()) return curl_easy_setopt(easy, CURLOPT_CAINFO, upstream_.ca_file.c_str()) == CURLE_OK;
  const SystemTrust& trust = system_trust();
  if (trust.as_built) return true;
  const auto or_none = [](const std::string& path) { return path.empty() ? nullptr : path.c_str(); };
  return curl_easy_setopt(easy, CURLOPT_CAINFO, or_none(trust.file)) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_CAPATH, or_none(trust.folder)) == CURLE_OK;
}

bool Transfer::set_method() {
  CURL* easy = easy_.get();
  if (request_.method == "HEAD") return curl_easy_setopt(easy, CURLOPT_NOBODY, 1L) == CURLE_OK;
  bool carries = !request_.body.empty() || request_.method == "POST" || request_.method == "PUT" || request_.method == "PATCH";
  if (carries) {
    bool set = curl_easy_setopt(easy, CURLOPT_POST, 1L) == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request_.body.size())) == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request_.body.data()) == CURLE_OK;
    if (!set) return false;
  }
  if (request_.method == "GET" && !carries) return true;
  return curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request_.method.c_str()) == CURLE_OK;
}

bool Transfer::set_headers() {
  auto add = [this](const std::string& line) {
    curl_slist* longer = curl_slist_append(header_list_.get(), line.c_str());
    if (longer == nullptr) return false;
    static_cast<void>(header_list_.release());
    header_list_.reset(longer);
    return true;
  };
  bool added = add("Expect:");  // no pause before the body
  if (!has_header(request_.headers, "content-type")) added = added && add("Content-Type:");  // nor a type that nobody gave
  if (!has_header(request_.headers, "user-agent")) added = added && add(agent());
  if (!request_.idempotency_key.empty() && !has_header(request_.headers, "idempotency-key")) {
    added = added && add("Idempotency-Key: " + request_.idempotency_key);
  }
  for (const auto& [name, value] : request_.headers) {
    std::string_view text = trim(value);
    added = added && add(text.empty() ? name + ";" : name + ": " + std::string(text));  // as libcurl wants an empty one
  }
  return added && curl_easy_setopt(easy_.get(), CURLOPT_HTTPHEADER, header_list_.get()) == CURLE_OK;
}

bool Transfer::set_callbacks() {
  CURL* easy = easy_.get();
  return curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &Transfer::on_header) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_HEADERDATA, this) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &Transfer::on_body) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_WRITEDATA, this) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, &Transfer::on_open_socket) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, this) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, &Transfer::on_connected) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_PREREQDATA, this) == CURLE_OK;
}

// ---- what libcurl calls; less than what it gave says that it must stop

size_t Transfer::on_header(char* data, size_t size, size_t count, void* self) {
  try {
    return static_cast<Transfer*>(self)->take_header({data, size * count}) ? size * count : 0;
  } catch (const std::bad_alloc&) {
    return 0;
  }
}

bool Transfer::take_header(std::string_view line) {
  header_bytes_ += line.size();
  if (header_bytes_ > kMaxHeaderBytes) {
    too_large_ = true;
    return false;
  }
  if (body_began_) return true;  // a trailer: nobody asked for it
  if (line.starts_with("HTTP/")) {
    headers_.clear();  // those of a 1xx before it
    return true;
  }
  size_t colon = line.find(':');
  if (colon != std::string_view::npos) headers_.emplace_back(trim(line.substr(0, colon)), trim(line.substr(colon + 1)));
  return true;
}

size_t Transfer::on_body(char* data, size_t size, size_t count, void* self) {
  auto& transfer = *static_cast<Transfer*>(self);
  size_t bytes = size * count;
  transfer.body_began_ = true;
  if (bytes > transfer.upstream_.max_response - transfer.body_.size()) {
    transfer.too_large_ = true;
    return 0;
  }
  try {
    transfer.body_.append(data, bytes);
  } catch (const std::bad_alloc&) {
    return 0;
  }
  return bytes;
}

curl_socket_t Transfer::on_open_socket(void* self, curlsocktype, curl_sockaddr* address) {
  auto& transfer = *static_cast<Transfer*>(self);
  if (transfer.to_.guarded && !is_public(&address->addr)) {
    transfer.refused_address_ = text_of(&address->addr);
    return CURL_SOCKET_BAD;
  }
  return ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

// The socket was checked when it was opened; but a pooled one may have been opened for a request that is not guarded.
int Transfer::on_connected(void* self, char* remote_ip, char*, int, int) {
  auto& transfer = *static_cast<Transfer*>(self);
  if (!transfer.to_.guarded || is_public(std::string(remote_ip))) return CURL_PREREQFUNC_OK;
  transfer.refused_address_ = remote_ip;
  return CURL_PREREQFUNC_ABORT;
}

// ---- what came of it

Outcome::Kind Transfer::kind_of(CURLcode code, int status) const {
  using Kind = Outcome::Kind;
  if (too_large_) return kind_of_status(status) == Kind::kFailed ? Kind::kFailed : Kind::kTooLarge;
  switch (code) {
    case CURLE_OK: return kind_of_status(status);
    case CURLE_OPERATION_TIMEDOUT: return Kind::kTimeout;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM: return Kind::kConnect;
    case CURLE_COULDNT_CONNECT:
    case CURLE_ABORTED_BY_CALLBACK: return refused_address_.empty() ? Kind::kConnect : Kind::kRefused;
    default: return Kind::kBroken;
  }
}

std::string Transfer::tell(CURLcode code, const Outcome& outcome) const {
  std::string where = request_.method + " " + to_.url.shown() + ": ";
  switch (outcome.kind) {
    case Outcome::Kind::kOk: return {};
    case Outcome::Kind::kRejected:
    case Outcome::Kind::kFailed: return where + "answered " + std::to_string(outcome.status);
    case Outcome::Kind::kTooLarge:
      return where + (header_bytes_ > kMaxHeaderBytes ? "the answer's headers have over 64 KiB"
                                                      : "the answer has over " + std::to_string(upstream_.max_response) + " bytes");
    case Outcome::Kind::kRefused:
      return where + "leads to " + refused_address_ + ", which is not a public address; URLs from outside may not reach it";
    default: break;
  }
  std::string said = curl_error_[0] != '\0' ? curl_error_ : curl_easy_strerror(code);
  std::string safe;
  append_printable(said.substr(0, kMaxCurlError), safe);
  return where + safe;
}

Outcome Transfer::finish(CURLcode code) {
  Outcome outcome;
  long status = 0;
  curl_easy_getinfo(easy_.get(), CURLINFO_RESPONSE_CODE, &status);
  outcome.kind = kind_of(code, static_cast<int>(status));
  bool answered = code == CURLE_OK || outcome.kind == Outcome::Kind::kFailed;
  if (answered || outcome.kind == Outcome::Kind::kTooLarge) outcome.status = static_cast<int>(status);
  outcome.error = tell(code, outcome);
  if (!answered) return outcome;
  outcome.headers = std::move(headers_);
  if (!too_large_) outcome.body = std::move(body_);
  if (const std::string* after = outcome.header("retry-after"); after != nullptr && outcome.kind == Outcome::Kind::kFailed) {
    outcome.retry_after_ms = parse_retry_after(*after, wall_ms()).value_or(0);
  }
  return outcome;
}

}  // namespace postern::client
