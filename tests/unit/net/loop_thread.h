// An event loop on a thread of its own, as long as it lives. Thread-safety: on_loop() from the test's thread.
#pragma once

#include <functional>
#include <future>
#include <stdexcept>
#include <thread>

#include "core/net/event_loop.h"

namespace postern::net::testing {

class LoopThread {
 public:
  LoopThread() {
    if (!loop_.open()) throw std::runtime_error("no loop");
    thread_ = std::thread([this] { loop_.run(); });
  }
  ~LoopThread() {
    loop_.stop();
    thread_.join();
  }
  net::EventLoop& loop() { return loop_; }
  // Runs the task there, and waits for it.
  void run(const std::function<void()>& task) {
    std::promise<void> done;
    loop_.post([&] {
      task();
      done.set_value();
    });
    done.get_future().wait();
  }

 private:
  net::EventLoop loop_;
  std::thread thread_;
};

}  // namespace postern::net::testing
