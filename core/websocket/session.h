// Session: a WebSocket on a stream, after its handshake: messages both ways, pings, the closing handshake, and an end that comes once.
//
//   auto session = Session::start(loop, std::move(stream), Role::kServer, limits, handler, bytes_that_came_already);
//   session->send(Kind::kText, "{}", Class::kControl);
//
// What is sent within one turn of the loop goes out together at its end. Nothing here waits: what the peer does not take stands in the
// Outbox, and whoever must not lose anything asks buffered() and pauses the source.
// Thread-safety: the loop's thread, but where a member says otherwise.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "core/net/event_loop.h"
#include "core/net/stream.h"
#include "core/websocket/codec.h"
#include "core/websocket/outbox.h"

namespace postern::websocket {

struct Limits {
  size_t max_message = 1 << 20;   // bytes of one that comes; a longer one ends the session with 1009
  size_t max_queued = 256 << 10;  // bytes that wait for the peer
  int64_t ping_ms = 20'000;       // without a byte from the peer: a ping; after as long again: lost
  int64_t close_ms = 5'000;       // for the peer's part of the closing handshake
  int64_t write_ms = 20'000;      // in which a peer that has something to take takes none of it: lost
};

// Of a session whose peer answered no ping.
inline constexpr std::string_view kSilent = "the peer is silent";

// How it ended.
struct Ending {
  uint16_t code = kLost;  // the peer's, or ours where we closed; kLost without a closing handshake
  std::string reason;     // for people; of a peer's, its text
  bool by_peer = false;
};

class Session final : public net::EventLoop::Watcher, public std::enable_shared_from_this<Session>, private Codec::Receiver {
 public:
  // Called on the loop's thread. It lives at least until on_ended().
  class Handler {
   public:
    virtual ~Handler() = default;
    virtual void on_message(Session& session, Kind kind, std::string_view data) = 0;
    // At most a quarter of max_queued waits, after a send() that left more than half of it waiting.
    virtual void on_writable(Session& session) { static_cast<void>(session); }
    // The last call. The session may not be used any more.
    virtual void on_ended(Session& session, const Ending& ending) = 0;
  };

  // `first`: what came behind the handshake. The handler is not called before this has returned.
  static std::shared_ptr<Session> start(net::EventLoop& loop, std::unique_ptr<net::Stream> stream, Role role, const Limits& limits,
                                        Handler& handler, std::string first);
  ~Session() override;

  // kGone once it closes; kLimit where the peer has stopped taking even control messages (it is closed with 1013 then). Never blocks.
  Status send(Kind kind, std::string_view data, Class what);
  // Sends what is queued, without the media, then the closing frame; the end is told when the peer has answered, or after close_ms. Closing
  // twice is fine.
  void close(uint16_t code, std::string_view reason);
  // Ends at once, without a word to the peer: on_ended() is called from inside.
  void abort(std::string_view reason);

  // Takes back the media that waits: how many messages.
  uint64_t discard_media() { return outbox_.discard_media(); }
  size_t buffered() const { return outbox_.bytes() + out_.size() - written_; }
  uint64_t dropped() const { return outbox_.dropped(); }  // media messages
  // While paused nothing is read, pings neither: the peer's own buffers fill up. Pauses are not counted.
  void pause();
  void resume();
  bool is_open() const { return phase_ == Phase::kOpen; }
  const std::string& peer() const { return peer_; }

 private:
  // kClosing: our closing frame is on its way, the peer's has not come. kLeaving: the end was told, our last frame may still be on its way.
  enum class Phase { kOpen, kClosing, kLeaving, kGone };

  Session(net::EventLoop& loop, std::unique_ptr<net::Stream> stream, Role role, const Limits& limits, Handler& handler);
  void begin(std::string first);
  void on_ready(uint32_t epoll_events) override;
  void on_readable();
  bool take(std::string_view bytes);
  void on_message(Kind kind, std::string_view data) override;
  void on_ping(std::string_view data) override;
  void on_pong(std::string_view data) override;
  void on_close(uint16_t code, std::string_view reason) override;
  void on_failure();
  void fill();
  void flush();
  void flush_soon();
  void after_flush();
  void on_deadline();
  void watch_silence();
  void update_interest();
  void read_again_soon();
  void tell(const Ending& ending);
  void leave(const Ending& ending);
  void finish();

  net::EventLoop& loop_;
  std::unique_ptr<net::Stream> stream_;
  const std::string peer_;
  const Role role_;
  const Limits limits_;
  Handler& handler_;
  Codec codec_;
  Outbox outbox_;
  std::string out_;  // frames on their way
  size_t written_ = 0;
  Phase phase_ = Phase::kOpen;
  Ending ours_;  // where we closed
  net::Timer deadline_;  // of the peer's silence; of the closing handshake
  net::Timer write_deadline_;
  int64_t heard_ms_ = 0;
  uint32_t interest_ = 0;
  bool pinged_ = false;
  bool paused_ = false;
  bool wants_writable_ = false;
  bool told_ = false;
  bool flush_comes_ = false;
  bool read_comes_ = false;
  std::shared_ptr<Session> self_;  // until the socket is closed
};

}  // namespace postern::websocket
