// VoiceSession: a Realtime session for another plugin, whose threads it meets here: what they send lies in a queue until the session's own
// thread takes it, and what comes lies in another until they fetch it. Both are bounded. Thread-safety: any thread.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <postern/plugin.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "model_events.h"

namespace openai_realtime {

class VoiceSession : public std::enable_shared_from_this<VoiceSession> {
 public:
  // What may wait at the host. A message is a megabyte at most, of which one fits beside a half.
  static constexpr size_t kMaxQueued = 1 << 20;

  struct Fetched {
    std::vector<std::string> events;  // as they came
    uint64_t dropped = 0;             // since the last time, the oldest of what nobody had fetched
    bool open = false;
  };

  VoiceSession(postern::Sessions sessions, std::string session_json) : sessions_(sessions), session_json_(std::move(session_json)) {}

  void connect(const postern::ConnectOptions& options);
  // Until it is set up: false when it is not by then, or never will be.
  bool wait_until_ready(std::chrono::milliseconds within);
  // A client event. False when it is not open, or does not take anything any more.
  bool send(std::string_view event);
  Fetched fetch(std::chrono::milliseconds wait);
  void close();
  bool is_closed() const;
  std::string why() const;  // it is not open

 private:
  class Leg;
  enum class State { kConnecting, kReady, kClosed };

  // On the session's thread.
  void on_opened(postern::Session& session);
  void on_message(std::string_view text);
  void on_woken(postern::Session& session);
  void send_waiting(postern::Session& session);  // with the mutex held
  void on_timer(postern::Session& session);
  void on_ended(const postern::SessionEnd& end);

  const postern::Sessions sessions_;
  const std::string session_json_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  State state_ = State::kConnecting;
  bool closing_ = false;
  uint64_t number_ = 0;  // for wake(); 0: not open yet
  static constexpr const char* kBeingSetUp = "it is being set up";
  std::string why_ = kBeingSetUp;
  std::deque<std::string> outgoing_, events_;
  size_t outgoing_bytes_ = 0, event_bytes_ = 0;
  uint64_t dropped_ = 0;
  std::chrono::steady_clock::time_point used_ = std::chrono::steady_clock::now();
};

}  // namespace openai_realtime
