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
  void open(net::EventLoop& loop, std::unique_ptr<net::Stream> stream, Service& service, const Timeouts& timeouts,
            MemoryBudget& budget, ConnectionCounts::Slot slot = {}) {
    auto connection = std::make_shared<Connection>(loop, std::move(stream), service, timeouts, budget, std::move(slot));
    if (!connection->start()) return;
    if (draining_) connection->close_after_answer();
    bool waited_for = !draining_;
    (waited_for ? size_ : newcomers_).fetch_add(1, std::memory_order_relaxed);
    const Connection* key = connection.get();
    connections_.emplace(key, Entry{std::move(connection), waited_for, ++opened_});
  }
  void remove(const Connection& connection) {
    auto found = connections_.find(&connection);
    if (found == connections_.end()) return;
    (found->second.waited_for ? size_ : newcomers_).fetch_sub(1, std::memory_order_relaxed);
    connections_.erase(found);
  }
  // From now on each connection closes after its next answer, and idle ones at once. New ones are still answered, once: a request
  // may be on its way, and to close would be to reset it.
  void drain() {
    draining_ = true;
    for (auto& connection : all()) {
      if (!connection->is_new()) {
        connection->close_when_idle();
        continue;
      }
      connection->close_after_answer();
      connections_.find(connection.get())->second.waited_for = false;
      size_.fetch_sub(1, std::memory_order_relaxed);
      newcomers_.fetch_add(1, std::memory_order_relaxed);
    }
  }
  // Makes room where there is little: of those that no request of is being answered, the oldest goes. A client that asks at once is
  // answered before its turn comes, however many wait in silence.
  void close_oldest_waiting() {
    std::shared_ptr<Connection> oldest;
    uint64_t number = UINT64_MAX;
    for (const auto& [key, entry] : connections_) {
      if (entry.connection->is_serving() || entry.number > number) continue;
      number = entry.number;
      oldest = entry.connection;
    }
    if (oldest) oldest->close();
  }
  void close() {
    for (auto& connection : all()) connection->close();
  }
  // Those that a drain waits for: all, and once it has begun those with a request.
  size_t size() const { return size_.load(std::memory_order_relaxed); }
  // Once a drain has begun: those that have sent nothing yet.
  size_t newcomers() const { return newcomers_.load(std::memory_order_relaxed); }

 private:
  struct Entry {
    std::shared_ptr<Connection> connection;
    bool waited_for;
    uint64_t number;  // in the order in which they were opened
  };
  // A copy: closing removes.
  std::vector<std::shared_ptr<Connection>> all() const {
    std::vector<std::shared_ptr<Connection>> list;
    for (const auto& [key, entry] : connections_) list.push_back(entry.connection);
    return list;
  }

  std::unordered_map<const Connection*, Entry> connections_;
  std::atomic<size_t> size_{0}, newcomers_{0};
  uint64_t opened_ = 0;
  bool draining_ = false;
};

}  // namespace postern::http
