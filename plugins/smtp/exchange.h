// Exchange: one mail, or one NOOP, over libcurl: a transfer from its options to its outcome.
//
// Each connection has a thread and a multi handle of its own, since libcurl waits for the reply to the final dot within
// curl_multi_perform() (smtp_done, "no general support for non-blocking DONE operations"): on a shared handle one slow server reply would
// hold up every other mail. Nor may a transfer be taken out of its handle before it is done: libcurl would then end the mail that is half
// sent with a dot of its own. So it is ended from within, by a callback that says stop.
// Thread-safety: one thread, but for Halt::at_ms.
#pragma once

#include <curl/curl.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

#include "dialogue.h"
#include "message.h"
#include "outcome.h"
#include "server.h"

namespace smtp {

using SteadyTime = std::chrono::steady_clock::time_point;

// When everything must have ended, since the plugin ends.
struct Halt {
  std::atomic<int64_t> at_ms{INT64_MAX};  // of the steady clock
};

class Exchange {
 public:
  struct Task {
    const Message* message = nullptr;  // null: NOOP
    SteadyTime deadline;
    bool new_connection = false;
    bool last = false;                  // the connection is not kept: QUIT
    std::function<void()> tick = {};    // now and then while it runs, at least once a second
  };

  Exchange(const Server& server, const Cleaner& clean, const Halt& halt) : server_(server), clean_(clean), halt_(halt) {}

  // Waits for its end. `multi` keeps the connection.
  Outcome run(CURLM* multi, const Task& task);
  const Dialogue& dialogue() const { return *dialogue_; }
  // A connection that was kept turned out to be closed by then: on a new one it may work.
  bool met_closed_connection() const;
  // The connection waits for the next mail.
  bool kept_connection() const;

 private:
  bool set_up(CURL* easy);
  bool set_security(CURL* easy);
  bool set_credentials(CURL* easy);
  bool set_task(CURL* easy);
  bool set_callbacks(CURL* easy);
  void loop(CURLM* multi, CURL* easy);
  SteadyTime limit() const;
  bool must_stop();

  static int on_debug(CURL*, curl_infotype type, char* data, size_t size, void* self);
  static size_t on_header(char* data, size_t size, size_t count, void* self);
  static size_t on_read(char* to, size_t size, size_t count, void* self);
  static int on_progress(void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t);

  const Server& server_;
  const Cleaner& clean_;
  const Halt& halt_;
  const Task* task_ = nullptr;
  std::unique_ptr<Dialogue> dialogue_;
  std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)> recipients_{nullptr, &curl_slist_free_all};
  uint64_t offset_ = 0;
  SteadyTime body_sent_at_{}, quit_at_{};
  Ending ending_;
  bool task_last_ = false;
  char curl_error_[CURL_ERROR_SIZE] = "";
};

}  // namespace smtp
