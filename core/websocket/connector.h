// Connector: opens a session as a client. Name, connection, proxy, TLS and handshake, all within one deadline, none of it waited for.
// Thread-safety: the loop's thread, but for resolver, which is any thread's and outlives it.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/net/resolver.h"
#include "core/net/tcp_connect.h"
#include "core/net/tls_stream.h"
#include "core/websocket/handshake.h"
#include "core/websocket/session.h"

namespace postern::websocket {

// ws://host[:port]/path?query or wss://…
struct Url {
  bool secure = false;
  std::string authority;  // as written, for the Host header
  std::string host;       // without the brackets of an IPv6 address
  uint16_t port = 0;
  std::string target;     // path and query
};
Result<Url> parse_url(std::string_view text);

// http://[user:password@]host:port
struct Proxy {
  std::string host;
  uint16_t port = 0;
  std::string authorization;  // of Proxy-Authorization; may be empty. A secret
};
Result<Proxy> parse_proxy(std::string_view text);

struct Destination {
  Url url;
  std::optional<Proxy> proxy;
  std::shared_ptr<const net::TlsClient> trust;  // for wss
  Headers headers;                              // may hold secrets
  std::vector<std::string> protocols;
  int64_t connect_ms = 10'000;  // all of it
};

class Connector final : private net::EventLoop::Watcher, public std::enable_shared_from_this<Connector> {
 public:
  // With the open session, whose handler is `handler`; or why there is none, in words without secrets, and the server's HTTP status where
  // it has answered one.
  struct Outcome {
    std::shared_ptr<Session> session;
    Status status;
    int http_status = 0;
  };
  using Done = std::function<void(Outcome)>;

  // Calls `done` once, in a turn to come; not any more after cancel().
  static std::shared_ptr<Connector> start(net::EventLoop& loop, net::Resolver& resolver, Destination destination, const Limits& limits,
                                          Session::Handler& handler, Done done);
  void cancel();

 private:
  enum class Step { kName, kConnect, kProxy, kHandshake, kOver };

  Connector(net::EventLoop& loop, Destination destination, const Limits& limits, Session::Handler& handler, Done done);
  void on_addresses(const Result<net::Addresses>& addresses);
  void on_socket(Poco::Net::StreamSocket socket);
  void ask_proxy();
  void shake_hands();
  void begin(std::unique_ptr<net::Stream> stream, std::string request);
  void on_ready(uint32_t epoll_events) override;
  void go_on();
  bool write();
  void read();
  void on_proxys_answer(std::string_view bytes);
  void on_answer(std::string_view bytes);
  void update_interest();
  void let_go();
  void fail(Status why);
  void finish(Outcome outcome);

  net::EventLoop& loop_;
  const Destination destination_;
  const Limits limits_;
  Session::Handler& handler_;
  Done done_;
  Step step_ = Step::kName;
  net::Timer deadline_;
  std::shared_ptr<net::TcpConnect> connecting_;
  Poco::Net::StreamSocket socket_;
  std::unique_ptr<net::Stream> stream_;
  net::TlsStream* tls_ = nullptr;  // stream_, where it is one
  bool watched_ = false;
  uint32_t interest_ = 0;
  std::string out_;
  std::string in_;  // the proxy's answer
  std::unique_ptr<ClientHandshake> handshake_;
  std::shared_ptr<Connector> self_;  // until it is over
};

}  // namespace postern::websocket
