#include "lane.h"

#include <stdexcept>

namespace smtp {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kGoodbye{1'000};

void start_library() {
  static const CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (code != CURLE_OK) throw std::runtime_error("libcurl does not start: " + std::string(curl_easy_strerror(code)));
  // Without it a name server that does not answer would hold up a deadline.
  if ((curl_version_info(CURLVERSION_NOW)->features & CURL_VERSION_ASYNCHDNS) == 0) {
    throw std::runtime_error("this libcurl resolves names without a thread of its own; install Debian's libcurl4");
  }
}

}  // namespace

Lane::Lane(const Server& server, const Cleaner& clean, const Halt& halt) : server_(server), clean_(clean), halt_(halt) {
  start_library();
  multi_.reset(curl_multi_init());
  if (!multi_ || curl_multi_setopt(multi_.get(), CURLMOPT_MAXCONNECTS, 1L) != CURLM_OK) throw std::runtime_error("libcurl refuses to be set up");
}

Outcome Lane::send(const Message& message, SteadyTime deadline, const std::function<void()>& tick) {
  Exchange::Task task{.message = &message, .deadline = deadline, .tick = tick};
  Exchange first(server_, clean_, halt_);
  Outcome outcome = first.run(multi_.get(), task);
  connected_ = first.kept_connection();
  if (!first.met_closed_connection()) return outcome;
  task.new_connection = true;
  Exchange second(server_, clean_, halt_);
  outcome = second.run(multi_.get(), task);
  connected_ = second.kept_connection();
  return outcome;
}

Outcome Lane::probe(SteadyTime deadline) {
  Exchange exchange(server_, clean_, halt_);
  return exchange.run(multi_.get(), {.deadline = deadline, .new_connection = true, .last = true});
}

// libcurl ends a connection with a QUIT whose answer it would await for two minutes, but under a transfer's own limits. So one more
// transfer takes the connection with it.
void Lane::close_connection() {
  if (!connected_) return;
  connected_ = false;
  const Halt none;
  Exchange exchange(server_, clean_, none);
  exchange.run(multi_.get(), {.deadline = steady_clock::now() + kGoodbye, .last = true});
}

}  // namespace smtp
