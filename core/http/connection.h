// Connection: one client on one loop. Reads requests strictly, gives each to the Service, writes the answers in order; holds
// the absolute deadlines that a dribbling client cannot extend, and lingers before it closes on an early refusal.
// Thread-safety: the loop's thread only, Exchange::respond() included.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "core/http/connection_counts.h"
#include "core/http/memory_budget.h"
#include "core/http/request_reader.h"
#include "core/http/response.h"
#include "core/http/upgraded.h"
#include "core/net/event_loop.h"
#include "core/net/stream.h"

namespace postern::http {

class Connection;

// One request and the promise of its answer.
class Exchange {
 public:
  // What the service wants to keep from the head to the end of the body.
  struct Context {
    virtual ~Context() = default;
  };

  Request request;
  std::string request_id;
  std::string peer;    // numeric address of whoever is connected: the client or a proxy; "unix"
  std::string remote;  // numeric address of the client, as far as proxies are believed
  std::unique_ptr<Context> context;

  // Exactly once. An answer for a client that has gone is dropped.
  void respond(Response response);
  // Instead: sends `head`, a whole 101, and then gives the connection away. `taker` is not called when the client has gone.
  void upgrade(std::string head, Taker taker);

 private:
  friend class Connection;
  std::shared_ptr<Connection> connection_;
};

// What stands behind the connections of a listener.
class Service {
 public:
  virtual ~Service() = default;

  // The head is there, the body is not: refuse now (a response), or say how large the body may be.
  struct Admission {
    bool refused = false;
    Response refusal;
    uint64_t max_body = 0;
  };
  virtual Admission on_head(Exchange& exchange, const Request& head) = 0;

  // The request is whole (exchange->request). Answer now or later by exchange->respond(), on the loop's thread.
  virtual void on_request(std::shared_ptr<Exchange> exchange) = 0;

  // The connection refused what came without asking: malformed, too slow, or too much in all. For log and metrics.
  virtual void on_malformed(const Exchange& exchange, int status, const char* why) = 0;

  // The connection is closed and will not be used again.
  virtual void on_closed(const Connection& connection) = 0;
};

struct Timeouts {  // milliseconds, but for the rate; what they cover is told in core/config/config.h
  int64_t head = 10000;
  int64_t body = 30000;
  int64_t write = 30000;
  int64_t idle = 75000;
  uint64_t min_body_rate = 0;   // bytes a second, in each window of a body's time; 0: however slow
  int64_t rate_window = 5000;
  int64_t linger = 10000;       // after the last answer, for what the client still sends
};

class Connection final : public net::EventLoop::Watcher, public std::enable_shared_from_this<Connection> {
 public:
  // `budget` is shared by all connections and outlives them; a request for which it has no room is answered 503.
  Connection(net::EventLoop& loop, std::unique_ptr<net::Stream> stream, Service& service, const Timeouts& timeouts,
             MemoryBudget& budget, ConnectionCounts::Slot slot = {});
  ~Connection() override;

  Status start();
  // Closes after the request at hand, or now when there is none.
  void close_when_idle();
  // Closes after the next answer.
  void close_after_answer() { draining_ = true; }
  // Nothing has come yet.
  bool is_new() const { return fresh_ && phase_ == Phase::kIdle; }
  // A request is being answered.
  bool is_serving() const { return phase_ == Phase::kServing; }
  void close();

 private:
  friend class Exchange;
  enum class Phase { kIdle, kHead, kBody, kServing, kLingering, kClosed };

  void on_ready(uint32_t epoll_events) override;
  void on_readable();
  void on_deadline();
  void on_body_window();
  void begin_body_window();
  void consume(std::string_view data);
  size_t read_on(std::string_view data);
  void read_pending();
  bool waits_for_its_turn() const;
  bool is_full() const;
  bool on_head_complete(bool more_came);
  void serve();
  void refuse(Response response);
  void refuse_malformed(int status, const char* why);
  void new_exchange();
  void read_ahead(std::string_view data);
  void drop_pending();
  bool hold();
  void let_go();
  void answer(Response response);
  void upgrade(std::string head, Taker taker);
  void give_away();
  void queue(const Response& response, bool keep_alive, bool head_only);
  void flush();
  void on_written();
  void start_lingering();
  void linger();
  void enter(Phase phase);
  void update_interest();
  void read_again_soon();

  net::EventLoop& loop_;
  std::unique_ptr<net::Stream> stream_;
  Service& service_;
  Timeouts timeouts_;
  MemoryBudget& budget_;
  ConnectionCounts::Slot slot_;
  size_t held_ = 0;  // taken from the budget
  net::Timer deadline_;
  Phase phase_ = Phase::kIdle;
  RequestReader reader_;
  std::shared_ptr<Exchange> exchange_;  // from its head until its answer
  std::string pending_;                 // bytes behind the request at hand, from pending_at_ on
  size_t pending_at_ = 0;
  std::string out_;
  size_t written_ = 0;
  Taker taker_;  // once out_ is sent
  size_t lingered_ = 0;
  int64_t body_until_ms_ = 0;    // of the body that arrives
  uint64_t window_bytes_ = 0;    // that have come since its window began
  uint32_t interest_ = 0;
  bool head_only_ = false;  // the request at hand is HEAD; the service may have moved it away by the time of its answer
  bool fresh_ = true;  // no request was read yet
  bool read_closed_ = false;
  bool close_after_answer_ = false;
  bool linger_after_answer_ = false;
  bool draining_ = false;
  bool consuming_ = false;
  bool again_ = false;  // a read is posted
};

}  // namespace postern::http
