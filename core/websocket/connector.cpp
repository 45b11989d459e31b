#include "core/websocket/connector.h"

#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <utility>

#include "core/http/characters.h"

namespace postern::websocket {
namespace {

constexpr size_t kMaxProxyAnswer = 8 * 1024;

}  // namespace

std::shared_ptr<Connector> Connector::start(net::EventLoop& loop, net::Resolver& resolver, Destination destination, const Limits& limits,
                                            Session::Handler& handler, Done done) {
  std::shared_ptr<Connector> made(new Connector(loop, std::move(destination), limits, handler, std::move(done)));
  made->self_ = made;
  loop.timers().arm(made->deadline_, loop.now_ms() + made->destination_.connect_ms);
  const auto& proxy = made->destination_.proxy;
  // The resolver's thread must not be the last to hold it: it is the loop's.
  resolver.resolve(proxy ? proxy->host : made->destination_.url.host, proxy ? proxy->port : made->destination_.url.port,
                   [&loop, weak = made->weak_from_this()](const Result<net::Addresses>& addresses) {
                     loop.post([weak, addresses] {
                       if (auto self = weak.lock()) self->on_addresses(addresses);
                     });
                   });
  return made;
}

Connector::Connector(net::EventLoop& loop, Destination destination, const Limits& limits, Session::Handler& handler, Done done)
    : loop_(loop),
      destination_(std::move(destination)),
      limits_(limits),
      handler_(handler),
      done_(std::move(done)),
      deadline_([this] {
        constexpr const char* kMissing[] = {"no address", "no connection", "no answer of the proxy", "no handshake", ""};
        fail({Code::kTimeout, std::string(kMissing[static_cast<int>(step_)]) + " in time"});
      }) {}

void Connector::cancel() {
  if (step_ == Step::kOver) return;
  done_ = nullptr;
  let_go();
}

// ---- name, connection

void Connector::on_addresses(const Result<net::Addresses>& addresses) {
  if (step_ != Step::kName) return;
  if (!addresses) return fail(addresses.status());
  step_ = Step::kConnect;
  const int64_t each = std::max<int64_t>(destination_.connect_ms / 2, 1);
  connecting_ = net::TcpConnect::start(loop_, *addresses, each, [this](Result<Poco::Net::StreamSocket> socket) {
    connecting_ = nullptr;
    auto self = self_;
    socket ? on_socket(std::move(*socket)) : fail(socket.status());
  });
}

void Connector::on_socket(Poco::Net::StreamSocket socket) {
  socket_ = std::move(socket);
  destination_.proxy ? ask_proxy() : shake_hands();
}

// RFC 9110 §9.3.6.
void Connector::ask_proxy() {
  step_ = Step::kProxy;
  const Url& url = destination_.url;
  const std::string host = url.host.find(':') == std::string::npos ? url.host : "[" + url.host + "]";
  const std::string authority = host + ":" + std::to_string(url.port);
  std::string request = "CONNECT " + authority + " HTTP/1.1\r\nHost: " + authority + "\r\n";
  if (!destination_.proxy->authorization.empty()) request += "Proxy-Authorization: " + destination_.proxy->authorization + "\r\n";
  begin(std::make_unique<net::PlainStream>(socket_), request + "\r\n");
}

void Connector::on_proxys_answer(std::string_view bytes) {
  in_.append(bytes);
  const size_t end = in_.find("\r\n\r\n");
  if (end == std::string::npos) {
    if (in_.size() > kMaxProxyAnswer) fail({Code::kUnavailable, "the proxy's answer is too long"});
    return;
  }
  const bool shaped = in_.starts_with("HTTP/1.") && in_.size() > 12 && http::all_chars(std::string_view(in_).substr(9, 3), http::kDigitChar);
  if (!shaped || in_[9] != '2') {
    return fail({Code::kUnavailable, "the proxy " + (shaped ? "answered " + in_.substr(9, 3) : std::string("does not speak HTTP"))});
  }
  if (in_.size() > end + 4) return fail({Code::kUnavailable, "the proxy sent bytes of its own"});
  in_.clear();
  shake_hands();
}

// ---- TLS, handshake

void Connector::shake_hands() {
  step_ = Step::kHandshake;
  const Url& url = destination_.url;
  handshake_ = std::make_unique<ClientHandshake>(url.authority, url.target, destination_.headers, destination_.protocols);
  std::unique_ptr<net::Stream> stream;
  if (url.secure) {
    auto tls = std::make_unique<net::TlsStream>(socket_, destination_.trust, url.host);
    tls_ = tls.get();
    stream = std::move(tls);
  } else {
    stream = std::make_unique<net::PlainStream>(socket_);
  }
  begin(std::move(stream), handshake_->request());
}

void Connector::on_answer(std::string_view bytes) {
  auto outcome = handshake_->feed(bytes);
  if (!outcome) return;
  if (!outcome->status) return fail(outcome->status);
  loop_.unwatch(stream_->fd());
  watched_ = false;
  finish({Session::start(loop_, std::move(stream_), Role::kClient, limits_, handler_, std::string(bytes.substr(outcome->used))), Status::ok(), 101});
}

// ---- the socket

void Connector::begin(std::unique_ptr<net::Stream> stream, std::string request) {
  stream_ = std::move(stream);
  out_ = std::move(request);
  if (!watched_) {
    interest_ = stream_->write_events();
    if (Status s = loop_.watch(stream_->fd(), interest_, *this); !s) return fail(s);
    watched_ = true;
  }
  go_on();
}

void Connector::on_ready(uint32_t) { go_on(); }

void Connector::go_on() {
  auto self = shared_from_this();
  if (!write() || step_ == Step::kOver) return;
  if (out_.empty()) read();
  if (step_ != Step::kOver) update_interest();
}

// False when it failed. A client's first write drives the TLS handshake.
bool Connector::write() {
  while (!out_.empty()) {
    auto [outcome, bytes] = stream_->write(out_.data(), out_.size());
    if (outcome == net::Stream::Outcome::kWouldBlock) break;
    if (outcome == net::Stream::Outcome::kClosed) {
      const bool no_tls = tls_ != nullptr && !tls_->failure().empty();
      fail({Code::kUnavailable, no_tls ? "TLS: " + tls_->failure() : "the connection broke"});
      return false;
    }
    out_.erase(0, bytes);
  }
  return true;
}

void Connector::read() {
  std::array<char, 4096> buffer;
  while (true) {
    const Step before = step_;
    auto [outcome, bytes] = stream_->read(buffer.data(), buffer.size());
    if (outcome == net::Stream::Outcome::kWouldBlock) return;
    if (outcome == net::Stream::Outcome::kClosed) {
      const bool no_tls = tls_ != nullptr && !tls_->failure().empty();
      return fail({Code::kUnavailable, no_tls ? "TLS: " + tls_->failure() : "the connection ended before its handshake"});
    }
    const std::string_view came(buffer.data(), bytes);
    step_ == Step::kProxy ? on_proxys_answer(came) : on_answer(came);
    if (step_ != before) return;
  }
}

void Connector::update_interest() {
  const uint32_t wanted = out_.empty() ? stream_->read_events() : stream_->write_events();
  if (wanted == interest_) return;
  interest_ = wanted;
  loop_.rewatch(stream_->fd(), interest_, *this);
}

// ---- ends

void Connector::fail(Status why) { finish({nullptr, std::move(why), handshake_ ? handshake_->http_status() : 0}); }

void Connector::finish(Outcome outcome) {
  if (step_ == Step::kOver) return;
  auto self = self_;
  Done done = std::exchange(done_, nullptr);
  let_go();
  if (done) done(std::move(outcome));
}

void Connector::let_go() {
  step_ = Step::kOver;
  deadline_.cancel();
  if (connecting_) std::exchange(connecting_, nullptr)->cancel();
  if (std::exchange(watched_, false)) loop_.unwatch(stream_->fd());
  tls_ = nullptr;
  stream_.reset();
  loop_.bury(std::move(self_));
}

}  // namespace postern::websocket
