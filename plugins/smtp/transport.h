// Transport: mails in, outcomes out. At most `connections` connections to the server, each with a thread; what does not fit waits in line.
//
// Every callback is called exactly once: on one of those threads, on the submitting one where nothing can be sent any more or the line is
// full, or on that of close(). After a refused login or certificate the server is left alone for a while: every mail meanwhile gets the
// same outcome at once.
// Thread-safety: any thread; close() once, not from a callback.
#pragma once

#include <condition_variable>
#include <cstddef>
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
  static constexpr size_t kMaxWaiting = 2'000;
  using Callback = std::function<void(const Outcome&)>;

  // Throws std::runtime_error when libcurl or the threads cannot be had. Nothing is connected yet.
  explicit Transport(Server server);
  ~Transport();
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;

  // Never waits.
  void submit(std::shared_ptr<const Message> message, Callback callback);

  // Mails in line end as transient at once, those under way get `drain` to end. About a second after it everything has.
  void close(std::chrono::milliseconds drain);

  size_t waiting() const;

 private:
  struct Job {
    std::shared_ptr<const Message> message;
    Callback callback;
    SteadyTime deadline;
  };

  void run(Lane& lane);
  std::optional<Job> take(Lane& lane);
  void drop_overdue();
  void note(const Outcome& outcome);
  std::optional<Outcome> held(const Message& message) const;
  static void end(Job& job, const Outcome& outcome);

  const Server server_;
  const Cleaner clean_;
  Halt halt_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Job> jobs_;  // the oldest first; all have the same time, so the first is the first to be overdue
  bool closing_ = false;
  Class held_class_ = Class::kDone;
  std::string held_text_;
  SteadyTime held_until_{};
  std::vector<std::unique_ptr<Lane>> lanes_;
  std::vector<std::thread> threads_;
};

}  // namespace smtp
