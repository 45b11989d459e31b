// Listener: a listening socket that several loops share; the kernel wakes one of them for each new connection.
// Thread-safety: open() and close() on the control thread; attach() and what follows on the loop it names.
#pragma once

#include <Poco/Net/ServerSocket.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "core/base/log.h"
#include "core/base/status.h"
#include "core/net/event_loop.h"
#include "core/net/spare_file.h"
#include "core/net/stream.h"

namespace postern::net {

class Listener {
 public:
  // `address`: "127.0.0.1:8080", "[::1]:8080" or "unix:/path". A stale unix socket that nobody listens on is replaced;
  // `unix_mode` are the file permissions of a new one.
  static Result<std::unique_ptr<Listener>> open(const std::string& address, unsigned unix_mode = 0600);
  // A listening stream socket that somebody else has bound. Takes `fd` over, but a unix socket's file stays where it is.
  static Result<std::unique_ptr<Listener>> adopt(int fd);
  ~Listener();

  // What is listened on, with the real port where 0 was asked for.
  const std::string& address() const { return address_; }
  // Somebody else holds it too: who connects when nobody accepts waits for the next gateway.
  bool is_adopted() const { return adopted_; }
  int fd() const;

 private:
  Listener(Poco::Net::ServerSocket socket, std::string address, std::string unix_path);

  Poco::Net::ServerSocket socket_;
  std::string address_;
  std::string unix_path_;  // to be removed at the end
  bool adopted_ = false;
};

// Accepts for one loop from one listener.
class Acceptor final : public EventLoop::Watcher {
 public:
  using OnAccept = std::function<void(std::unique_ptr<Stream>)>;
  // Null: the connection is refused, and closed at once.
  using MakeStream = std::function<std::unique_ptr<Stream>(Poco::Net::StreamSocket)>;

  Acceptor(EventLoop& loop, const Listener& listener, OnAccept on_accept, MakeStream make_stream = make_plain);
  ~Acceptor() override;
  Status start();
  void stop();
  // Before start(). With the last descriptor gone, connections are still accepted, told what `answer` gives (as it is: nothing where TLS is
  // spoken) and closed at once, so that nobody waits in vain. Called for each of them.
  void when_out_of_files(std::function<std::string_view()> answer) { out_of_files_ = std::move(answer); }
  const Listener& listener() const { return listener_; }
  static std::unique_ptr<Stream> make_plain(Poco::Net::StreamSocket socket);

 private:
  void on_ready(uint32_t epoll_events) override;
  bool accept_one();
  bool refuse_one();
  void pause(int error);

  EventLoop& loop_;
  const Listener& listener_;
  OnAccept on_accept_;
  MakeStream make_stream_;
  SpareFile spare_;
  std::function<std::string_view()> out_of_files_;
  Timer resume_;
  log::Throttle pauses_{1};
  bool watching_ = false;
};

}  // namespace postern::net
