// Worker: one thread's share of the load, on an event loop of its own. A connection carries one request at a time and
// is kept alive; one that breaks is made anew, and the work goes on. Thread-safety: run() and figures() on one thread,
// figures() after run(); Shared is for all of them.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "tests/bench/load/event_source.h"
#include "tests/bench/load/figures.h"
#include "tests/bench/load/journal.h"
#include "tests/bench/load/options.h"
#include "tests/bench/load/tls_client.h"

namespace postern::load {

// Where the load goes.
struct Target {
  sockaddr_storage address{};
  socklen_t size = 0;
};

// Between the workers and the thread that watches them.
struct Shared {
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> acked{0};     // for the progress line; lags a little
  std::atomic<uint64_t> failures{0};  // the same
  std::atomic<int> running{0};        // workers that have not ended
};

class Worker {
 public:
  // `connections` and `requests` (0: no bound) and `rate` are this worker's share.
  Worker(const Options& options, const Target& target, Shared& shared, uint32_t connections, uint64_t requests,
         double rate);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // Until the work is done, the time is over or Shared::stop is set.
  void run();
  const Figures& figures() const { return figures_; }

 private:
  enum class State { kDown, kConnecting, kShakingHands, kIdle, kWaiting };
  struct Connection {
    int fd = -1;
    TlsClient::Connection tls;  // --tls
    State state = State::kDown;
    EventId id;
    bool repeat = false;
    int64_t begun_us = 0;  // what its latency counts from
    int64_t sent_us = 0;
    int64_t retry_at_us = 0;
    std::string in;   // of an answer that is not complete
    std::string out;  // of a request that the socket did not take yet
  };

  void loop();
  bool may_send(int64_t now_us) const;
  bool finished() const;
  void open_down_connections(int64_t now_us);
  void open(Connection& connection, int64_t now_us);
  void opened(Connection& connection, int64_t now_us);
  void shake_hands(Connection& connection, int64_t now_us);
  void ready(Connection& connection, int64_t now_us);
  void send_due(int64_t now_us);
  void send_next(Connection& connection, int64_t begun_us, int64_t now_us);
  EventId choose_id(bool& repeat);
  void write_out(Connection& connection, std::string_view bytes, int64_t now_us);
  void handle(Connection& connection, uint32_t events);
  void read_in(Connection& connection);
  void answered(Connection& connection, int status, std::string_view body, int64_t now_us);
  void end(Connection& connection, uint64_t Figures::*cause, int64_t now_us);
  void watch(Connection& connection, int operation, uint32_t events);
  void check_timeouts(int64_t now_us);
  void wait(int64_t now_us);
  void failed();

  const Options& options_;
  const Target& target_;
  Shared& shared_;
  const uint64_t most_requests_;
  const int64_t interval_ns_;  // between two requests at a given rate; 0: closed loop
  std::unique_ptr<EventSource> source_;
  std::unique_ptr<TlsClient> tls_;  // --tls
  Journal journal_;
  Journal unacked_;
  std::mt19937_64 random_;
  Figures figures_;
  std::vector<Connection> connections_;
  std::vector<Connection*> idle_;
  std::vector<EventId> acked_ids_;  // a ring of the latest, for repeats
  size_t acked_at_ = 0;
  std::deque<EventId> again_;  // --retry: their answers never came
  size_t waiting_ = 0;         // connections with a request under way
  size_t down_ = 0;            // connections that are not there
  int epoll_ = -1;
  int timer_ = -1;
  int64_t start_us_ = 0;
  int64_t end_us_ = 0;  // no new requests from here on
  int64_t next_due_ns_ = 0;
  int64_t next_check_us_ = 0;
  int64_t last_up_us_ = 0;  // when a connection was last known to work
  int64_t now_us_ = 0;
  uint64_t published_acked_ = 0;
};

}  // namespace postern::load
