// What is left of a call: the event voice.call.completed, published until it is durable. While the backlog is full or the disk is, it waits
// here and is tried again; what waits is bounded, and what is given up is told in the log. Thread-safety: any thread.
#pragma once

#include <atomic>
#include <memory>
#include <postern/plugin.hpp>
#include <string>

namespace openai_realtime {

class Completed {
 public:
  static constexpr size_t kMaxWaiting = 1'000, kMaxTries = 60;  // for half an hour

  // In init.
  explicit Completed(postern::Setup& setup) : publisher_(setup.publisher()), timers_(setup.timers()), log_(setup.log()) {}

  // `call`: whose it is. `external_id`: the same for one call.
  void publish(std::string call, std::string body, std::string external_id);

 private:
  struct Event {
    std::string call, body, external_id;
    size_t tries = 0;
  };
  void attempt(std::shared_ptr<Event> event);
  void again(std::shared_ptr<Event> event, const std::string& why);

  postern::Publisher publisher_;
  postern::Timers timers_;
  postern::Log log_;
  std::atomic<size_t> waiting_{0};
};

}  // namespace openai_realtime
