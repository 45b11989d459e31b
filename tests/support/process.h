// Process: a child program of a test. It never outlives the test: its own destructor kills it, and so does the kernel
// when the thread that started it ends. Thread-safety: one thread at a time, the one that started it.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/support/eventually.h"

namespace postern::testing {

// How a process ended.
struct Exit {
  int code = -1;   // its exit status; -1 when a signal ended it
  int signal = 0;  // the signal that ended it, or 0
};

class Process {
 public:
  struct Options {
    std::string program;  // a path; or a name, searched in $PATH
    std::vector<std::string> args;
    std::vector<std::pair<std::string, std::string>> env;  // added to the environment
    std::string out_file;                                  // appended to; empty: kept in memory
    std::string err_file;                                  // the same; may be the same file
  };

  // Throws std::runtime_error when the program cannot be started.
  explicit Process(const Options& options);
  Process(Process&& other) noexcept;
  Process& operator=(Process&&) = delete;
  ~Process();

  pid_t pid() const { return pid_; }
  bool running();

  // Nothing when it still runs after `timeout`.
  std::optional<Exit> wait(milliseconds timeout);
  void send_signal(int signal);
  // SIGKILL, and waits for the end.
  Exit kill();

  // Everything it has written until now.
  std::string out() const;
  std::string err() const;
  // Waits until standard output or standard error contains `text`.
  bool wait_for_line(std::string_view text, milliseconds timeout);

  // Resident memory in bytes and used CPU time (user and system), from /proc; 0 when it is gone.
  size_t rss() const;
  milliseconds cpu() const;

 private:
  int pid_ = -1;
  int pidfd_ = -1;
  int out_ = -1;
  int err_ = -1;
  std::optional<Exit> exit_;
};

// A program that ran to its end.
struct Finished {
  Exit exit;
  std::string out;
  std::string err;
};

// Runs a program to its end; kills it after `timeout`, which shows as signal 9.
Finished run(const std::string& program, const std::vector<std::string>& args,
             milliseconds timeout = milliseconds(30000),
             const std::vector<std::pair<std::string, std::string>>& env = {});

}  // namespace postern::testing
