// TcpConnect: a TCP connection to the first of some addresses that takes one, tried in their order, without waiting for any.
// Thread-safety: the loop's thread.
#pragma once

#include <Poco/Net/StreamSocket.h>

#include <functional>
#include <memory>

#include "core/net/event_loop.h"
#include "core/net/resolver.h"

namespace postern::net {

class TcpConnect final : public EventLoop::Watcher, public std::enable_shared_from_this<TcpConnect> {
 public:
  using Done = std::function<void(Result<Poco::Net::StreamSocket>)>;

  // Calls `done` once, in a turn to come: with a socket that is connected and does not block, or with why the last address failed. Each
  // address has `each_ms`. Not called any more after cancel().
  static std::shared_ptr<TcpConnect> start(EventLoop& loop, Addresses addresses, int64_t each_ms, Done done);
  void cancel();

 private:
  TcpConnect(EventLoop& loop, Addresses addresses, int64_t each_ms, Done done);
  void try_next(Status why_not);
  void on_ready(uint32_t epoll_events) override;
  void forget_socket();
  void finish(Result<Poco::Net::StreamSocket> outcome);

  EventLoop& loop_;
  const Addresses addresses_;
  const int64_t each_ms_;
  Done done_;
  size_t next_ = 0;
  Poco::Net::StreamSocket socket_;
  bool watched_ = false;
  Timer deadline_;
  std::shared_ptr<TcpConnect> self_;  // until it is over
};

}  // namespace postern::net
