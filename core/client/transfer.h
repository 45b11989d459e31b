// Transfer: one attempt of a request, as libcurl sees it. What comes back is bounded while it comes: an answer over the limit is cut off
// at once, headers too. An upstream that never answers or trickles ends with the attempt's time.
// Thread-safety: the client's thread.
#pragma once

#include <curl/curl.h>

#include <memory>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "core/client/outcome.h"
#include "core/client/upstream.h"
#include "core/client/url.h"

namespace postern::client {

// kInvalid when a method, a header's name or value is broken, or a header is the client's own (Host, Content-Length, …).
Status check(const Request& request);

class Transfer {
 public:
  static constexpr size_t kMaxHeaderBytes = 64 * 1024;

  // `request` and `upstream` outlive it. `limit_ms`: for all of it. `pins`: names with their addresses, "host:port:address" as of
  // CURLOPT_RESOLVE; may be null. kInternal when libcurl cannot.
  static Result<std::unique_ptr<Transfer>> make(const Upstream& upstream, const Request& request, const Destination& to, int64_t limit_ms,
                                                curl_slist* pins, void* tag);
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  CURL* handle() const { return easy_.get(); }
  // What came of it; `attempts` is the caller's. Once.
  Outcome finish(CURLcode code);

 private:
  Transfer(const Upstream& upstream, const Request& request, const Destination& to);
  Status set_up(int64_t limit_ms, curl_slist* pins, void* tag);
  bool set_security();
  bool set_authorities();
  bool set_method();
  bool set_headers();
  bool set_callbacks();
  Outcome::Kind kind_of(CURLcode code, int status) const;
  std::string tell(CURLcode code, const Outcome& outcome) const;

  static size_t on_header(char* data, size_t size, size_t count, void* self);
  static size_t on_body(char* data, size_t size, size_t count, void* self);
  static curl_socket_t on_open_socket(void* self, curlsocktype purpose, curl_sockaddr* address);
  static int on_connected(void* self, char* remote_ip, char* local_ip, int remote_port, int local_port);
  bool take_header(std::string_view line);

  const Upstream& upstream_;
  const Request& request_;
  const Destination to_;
  std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)> header_list_{nullptr, &curl_slist_free_all};
  char curl_error_[CURL_ERROR_SIZE] = {};
  Headers headers_;
  std::string body_;
  size_t header_bytes_ = 0;  // of everything before the body, answers of 1xx too
  bool body_began_ = false;
  bool too_large_ = false;
  std::string refused_address_;                                                      // by the guard
  std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> easy_{nullptr, &curl_easy_cleanup};  // the first to go: it points to the others
};

}  // namespace postern::client
