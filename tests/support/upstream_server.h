// UpstreamServer: somebody whom the gateway calls, for tests: strict about what it is sent, and as bad as the script says about what it
// answers. A connection has a thread of its own; the script runs there for each request. It knows HTTP from its documents and links
// nothing of the core.
// Thread-safety: the script runs on many threads at once; everything else from any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

struct ssl_ctx_st;
struct ssl_st;

namespace postern::testing {

// A certificate authority of the test's own, and a server's certificate that it signed, as PEM files in `folder`.
struct TestCertificates {
  std::string ca_file, certificate_file, key_file;
  // For a DNS name; 127.0.0.1 is in it as well.
  static TestCertificates make(const std::string& folder, const std::string& name);
};

struct UpstreamRequest {
  std::string method, target, body;
  std::vector<std::pair<std::string, std::string>> headers;
  size_t connection = 0;  // 1, 2, …
  size_t number = 0;      // 1, 2, …: over all connections
  // The one header of that name, exactly as spelt; "" without one, "(twice)" with two.
  std::string header(std::string_view name) const;
};

// One request, and the means to answer it.
class Conversation {
 public:
  const UpstreamRequest request;

  // A whole answer with its Content-Length. `more`: header lines with CRLF at their ends.
  void answer(int status, std::string_view body = "", std::string_view more = "");
  // Raw bytes. False when the client has gone.
  bool send(std::string_view bytes);
  // Until the client has gone or the server stops.
  void hold();
  // Nothing more comes on this connection.
  void close() { closed_ = true; }

 private:
  friend class UpstreamServer;
  Conversation(UpstreamRequest r, int fd, ssl_st* tls, std::atomic<uint64_t>& sent)
      : request(std::move(r)), fd_(fd), tls_(tls), sent_(sent) {}
  int fd_;
  ssl_st* tls_;
  std::atomic<uint64_t>& sent_;
  bool closed_ = false;
};

class UpstreamServer {
 public:
  using Script = std::function<void(Conversation&)>;

  // Listens on a free port of 127.0.0.1. With certificates it speaks TLS.
  explicit UpstreamServer(Script script, const TestCertificates* certificates = nullptr);
  ~UpstreamServer();
  UpstreamServer(const UpstreamServer&) = delete;
  UpstreamServer& operator=(const UpstreamServer&) = delete;

  uint16_t port() const { return port_; }
  std::string url() const { return (tls_ ? "https://127.0.0.1:" : "http://127.0.0.1:") + std::to_string(port_); }
  std::vector<UpstreamRequest> requests() const;
  size_t connections() const { return connections_; }
  uint64_t bytes_sent() const { return bytes_sent_; }
  // What was not HTTP as it should be; empty when all was well.
  std::vector<std::string> faults() const;

 private:
  void accept();
  void serve(int fd, size_t connection);
  void converse(int fd, ssl_st* tls, size_t connection);
  void fault(const std::string& text);

  const Script script_;
  std::shared_ptr<ssl_ctx_st> tls_;
  int listener_ = -1;
  uint16_t port_ = 0;
  std::atomic<bool> stopping_{false};
  std::atomic<size_t> connections_{0};
  std::atomic<uint64_t> bytes_sent_{0};
  mutable std::mutex mutex_;
  std::vector<UpstreamRequest> requests_;
  std::vector<std::string> faults_;
  std::vector<int> open_;  // shut down by the destructor, so that their threads end
  std::vector<std::thread> threads_;
  std::thread acceptor_;
};

}  // namespace postern::testing
