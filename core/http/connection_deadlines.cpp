// The deadlines of a connection: one for each phase, absolute, and for a body's rate.
#include <algorithm>

#include "core/http/connection.h"

namespace postern::http {

void Connection::on_deadline() {
  switch (phase_) {
    case Phase::kBody:
      if (loop_.now_ms() < body_until_ms_) return on_body_window();
      [[fallthrough]];
    case Phase::kHead:
      return refuse_malformed(408, "the request took too long to arrive");
    case Phase::kIdle:
    case Phase::kServing:  // only the writing of an answer has a deadline there
    case Phase::kLingering:
      return close();
    case Phase::kClosed:
      return;
  }
}

void Connection::begin_body_window() {
  window_bytes_ = 0;
  int64_t until = timeouts_.min_body_rate == 0 ? body_until_ms_ : std::min(body_until_ms_, loop_.now_ms() + timeouts_.rate_window);
  loop_.timers().arm(deadline_, until);
}

// Attack: a body that comes byte by byte, where a long deadline is needed for large ones. Each window is judged by itself, so that nobody
// sends much at first and then nothing.
void Connection::on_body_window() {
  on_readable();  // what the loop had no time for until now has come as well
  if (phase_ != Phase::kBody || deadline_.armed()) return;
  if (window_bytes_ * 1000 < timeouts_.min_body_rate * static_cast<uint64_t>(timeouts_.rate_window)) {
    return refuse_malformed(408, "the request came too slowly");
  }
  begin_body_window();
}

// Each phase has one absolute deadline, set when it is entered and not moved by bytes that come.
void Connection::enter(Phase phase) {
  phase_ = phase;
  int64_t now = loop_.now_ms();
  switch (phase) {
    case Phase::kIdle:
      return loop_.timers().arm(deadline_, now + (fresh_ ? timeouts_.head : timeouts_.idle));
    case Phase::kHead:
      if (!fresh_) loop_.timers().arm(deadline_, now + timeouts_.head);  // a fresh connection's runs since it was accepted
      return;
    case Phase::kBody:
      body_until_ms_ = now + timeouts_.body;
      return begin_body_window();
    case Phase::kServing:
      return deadline_.cancel();
    case Phase::kLingering:
      return loop_.timers().arm(deadline_, now + timeouts_.linger);
    case Phase::kClosed:
      return;
  }
}

}  // namespace postern::http
