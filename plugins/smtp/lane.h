// Lane: one connection to the mail server, kept while mails come. Thread-safety: one thread; wake() any.
#pragma once

#include <curl/curl.h>

#include <memory>

#include "exchange.h"

namespace smtp {

class Lane {
 public:
  // Throws std::runtime_error when libcurl cannot be used.
  Lane(const Server& server, const Cleaner& clean, const Halt& halt);

  // Sends one mail and waits for its end. A kept connection that the server has closed meanwhile costs nothing: it goes out on a new one.
  Outcome send(const Message& message, SteadyTime deadline, const std::function<void()>& tick);
  // Connects anew, logs in, says NOOP and QUIT.
  Outcome probe(SteadyTime deadline);
  // Says goodbye, where there is a connection.
  void close_connection();

  bool connected() const { return connected_; }
  void wake() { curl_multi_wakeup(multi_.get()); }

 private:
  struct MultiDeleter {
    void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
  };

  const Server& server_;
  const Cleaner& clean_;
  const Halt& halt_;
  bool connected_ = false;
  std::unique_ptr<CURLM, MultiDeleter> multi_;
};

}  // namespace smtp
