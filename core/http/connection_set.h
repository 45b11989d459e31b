// ConnectionSet: the connections of one loop. Thread-safety: the loop's thread; size() from any.
#pragma once

#include <atomic>
#include <memory>
#include <unordered_map>
#include <vector>

#include "core/http/connection.h"

namespace postern::http {

class ConnectionSet {
 public:
  void open(net::EventLoop& loop, std::unique_ptr<net::Stream> stream, Service& service, const Timeouts& timeouts) {
    auto connection = std::make_shared<Connection>(loop, std::move(stream), service, timeouts);
    if (!connection->start()) return;
    connections_.emplace(connection.get(), std::move(connection));
    size_.store(connections_.size(), std::memory_order_relaxed);
  }
  void remove(const Connection& connection) {
    connections_.erase(&connection);
    size_.store(connections_.size(), std::memory_order_relaxed);
  }
  // Idle ones close now, the others after the answer at hand.
  void close_when_idle() {
    for (auto& connection : all()) connection->close_when_idle();
  }
  void close() {
    for (auto& connection : all()) connection->close();
  }
  size_t size() const { return size_.load(std::memory_order_relaxed); }

 private:
  // A copy: closing removes.
  std::vector<std::shared_ptr<Connection>> all() const {
    std::vector<std::shared_ptr<Connection>> list;
    for (const auto& [key, connection] : connections_) list.push_back(connection);
    return list;
  }

  std::unordered_map<const Connection*, std::shared_ptr<Connection>> connections_;
  std::atomic<size_t> size_{0};
};

}  // namespace postern::http
