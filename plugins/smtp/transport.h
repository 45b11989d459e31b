// Transport: mails in, outcomes out. At most `connections` connections to the server, each with a thread; what does not fit waits in line.
//
// Every callback is called exactly once: on one of those threads, on the submitting one where nothing can be sent any more or the line is
// full, or on that of close(). After a refused login or certificate the server is left alone for a while: every mail meanwhile gets the
// same outcome at once. Whoever finds the line full is told when it is likely to have room for him, as fast as mails go at the moment.
// Thread-safety: any thread; close() once, not from a callback.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "lane.h"
#include "message.h"
#include "outcome.h"
#include "reply_text.h"
#include "server.h"

namespace smtp {

class Transport {
 public:
  static constexpr size_t kMaxWaiting = 5'000;
  static constexpr uint64_t kMaxWaitingBytes = 128u << 20;  // in memory; a mail in a file counts as a mebibyte, for its descriptor
  static constexpr std::chrono::minutes kLongestWish{1};  // a slow server may be fast by then
  using Callback = std::function<void(const Outcome&)>;

  // Throws std::runtime_error when libcurl or the threads cannot be had. Nothing is connected yet.
  explicit Transport(Server server);
  ~Transport();
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;

  // Never waits. `beside`: bytes that somebody keeps as long as the mail is in line, such as the order that it is made of.
  void submit(std::shared_ptr<const Message> message, Callback callback, uint64_t beside = 0);

  // Mails in line end as transient at once, those under way get `drain` to end. A few seconds after it everything has, whatever the server
  // does.
  void close(std::chrono::milliseconds drain);

  size_t waiting() const;

 private:
  struct Job {
    std::shared_ptr<const Message> message;
    Callback callback;
    SteadyTime deadline;
    uint64_t cost;
  };

  void run(Lane& lane);
  std::optional<Job> take(Lane& lane);
  Job pop();  // under mutex_
  static uint64_t cost(const Message& message);
  void drop_overdue();
  std::chrono::milliseconds next_turn();  // under mutex_
  void note(const Outcome& outcome, SteadyTime::duration took);
  std::optional<Outcome> held(const Message& message) const;
  static void end(Job& job, const Outcome& outcome);

  const Server server_;
  const Cleaner clean_;
  Halt halt_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Job> jobs_;  // the oldest first; all have the same time, so the first is the first to be overdue
  uint64_t waiting_bytes_ = 0;
  bool closing_ = false;
  // Of a mail on a connection, lately. It begins as too little: a wish that is too short is only repeated.
  std::chrono::microseconds mail_time_{1'000};
  SteadyTime last_turn_{};  // of those that were told when to come again
  Class held_class_ = Class::kDone;
  std::string held_text_;
  SteadyTime held_until_{};
  std::vector<std::unique_ptr<Lane>> lanes_;
  std::vector<std::thread> threads_;
};

}  // namespace smtp
