// SessionLanes: the threads on which one plugin's WebSocket sessions live, each an event loop, begun with the first session; and the
// numbers by which other threads know a session. Sessions of other plugins are on other threads: one that hangs hangs alone.
// Thread-safety: any thread; close() and stop() on the control thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/base/mutex.h"
#include "core/base/status.h"
#include "core/net/event_loop.h"
#include "core/net/resolver.h"
#include "core/net/tls_client.h"
#include "core/websocket/session.h"

namespace postern::plugin {

class SessionLanes {
 public:
  static constexpr size_t kMaxSessions = 20'000;

  struct Lane {
    net::EventLoop loop;
    std::thread thread;
    std::atomic<size_t> sessions{0};
    bool ended = false;  // its thread; under the lanes' mutex

    // On its thread: the plugin has been told of this one's end, but its last frame may still be on its way.
    void let_leave(const std::shared_ptr<websocket::Session>& session);
    void cut_off_leaving();

   private:
    std::vector<std::weak_ptr<websocket::Session>> leaving_;
  };

  // One session, on its lane's thread.
  class Session {
   public:
    virtual ~Session() = default;
    virtual void wake() = 0;
    virtual void close(uint16_t code, std::string_view reason) = 0;
    virtual void abort(std::string_view reason) = 0;
  };

  // Where a session may begin: no lane ends until it is given back, so that whoever is between choose() and add() has one.
  class Place {
   public:
    Place(SessionLanes& lanes, Lane& lane) : lanes_(&lanes), lane_(&lane) {}
    Place(Place&& other) noexcept : lanes_(std::exchange(other.lanes_, nullptr)), lane_(other.lane_) {}
    Place& operator=(Place&&) = delete;
    ~Place() {
      if (lanes_ != nullptr) lanes_->give_back();
    }
    Lane& lane() const { return *lane_; }

   private:
    SessionLanes* lanes_;
    Lane* lane_;
  };

  SessionLanes() = default;
  ~SessionLanes();
  SessionLanes(const SessionLanes&) = delete;
  SessionLanes& operator=(const SessionLanes&) = delete;

  // From now on there may be sessions.
  void open() { open_ = true; }
  // The lane with the fewest sessions. kUnavailable before open(), kGone after close(), kLimit when there are too many.
  Result<Place> choose() EXCLUDES(mutex_);
  // Its number; while a Place is held. Call remove() with it once the session has ended, on any thread.
  uint64_t add(Lane& lane, std::weak_ptr<Session> session) EXCLUDES(mutex_);
  void remove(uint64_t number) EXCLUDES(mutex_);
  // kGone: it has ended.
  Status wake(uint64_t number) EXCLUDES(mutex_);
  size_t size() const EXCLUDES(mutex_);
  // Whether there ever was one.
  bool used() const EXCLUDES(mutex_);
  net::Resolver& resolver();
  // Whom to believe: read once for each file.
  Result<std::shared_ptr<const net::TlsClient>> trust(const std::string& ca_file) EXCLUDES(mutex_);

  // No session begins any more; those that there are, are closed with that code.
  void close(uint16_t code, std::string_view reason);
  // Waits until `until_ms` (steady) for sessions to end, then cuts off the others and ends the threads. False when one does not come back
  // from the plugin.
  bool stop(int64_t until_ms);

 private:
  struct Entry {
    Lane* lane;
    std::weak_ptr<Session> session;
  };
  void give_back() EXCLUDES(mutex_);
  void on_each(const std::function<void(Session&)>& task) EXCLUDES(mutex_);
  std::vector<std::unique_ptr<Lane>> take_lanes() EXCLUDES(mutex_);
  bool wait_until_empty(int64_t until_ms) EXCLUDES(mutex_);
  bool has_ended(Lane& lane, int64_t until_ms) EXCLUDES(mutex_);

  std::atomic<bool> open_{false}, closed_{false};
  mutable Mutex mutex_;
  CondVar changed_;
  std::vector<std::unique_ptr<Lane>> lanes_ GUARDED_BY(mutex_);
  std::unordered_map<uint64_t, Entry> sessions_ GUARDED_BY(mutex_);
  uint64_t last_ GUARDED_BY(mutex_) = 0;
  size_t places_ GUARDED_BY(mutex_) = 0;
  std::unique_ptr<net::Resolver> resolver_ GUARDED_BY(mutex_);
  std::map<std::string, std::shared_ptr<const net::TlsClient>> trust_ GUARDED_BY(mutex_);
};

}  // namespace postern::plugin
