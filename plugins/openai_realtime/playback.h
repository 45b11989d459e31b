// Playback: what of the model's speech the caller has heard. Twilio plays in real time what it is sent at once, so the end of an
// interrupted sentence is found from marks that come back and from the clock of the caller's own audio. Source: twilio-samples
// "speech-assistant-openai-realtime-api", OpenAI docs "Realtime conversations: interruption and truncation".
// Thread-safety: one thread at a time. Times are the stream's, in milliseconds.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace openai_realtime {

class Playback {
 public:
  // Where an item has to be cut.
  struct Cut {
    std::string item_id;
    std::string response_id;
    int64_t audio_end_ms;  // heard by the caller
    bool known;            // to the model's session
  };

  // The caller's clock: the timestamp of the newest frame.
  void set_clock(int64_t timestamp_ms) { clock_ms_ = timestamp_ms; }
  int64_t clock() const { return clock_ms_; }

  // Audio of an item goes to the caller, a mark behind it: the mark's number comes back. `played_ms`: how long it plays.
  uint64_t add(std::string_view item_id, std::string_view response_id, int64_t bytes, int64_t bytes_per_ms);
  // A mark came back: what was before it has been played.
  void on_mark(uint64_t number);
  // Another session goes on, which knows nothing of the items until now.
  void begin_session();

  // Whether the caller has still something to hear.
  bool playing() const { return !marks_.empty(); }
  // Milliseconds until what is on its way has been played, by the clock.
  int64_t remaining_ms() const { return playing() ? remaining_us() / 1000 : 0; }
  // Forgets what has not been played: where each of its items has to be cut, the one that plays now first. An item that began at t has been
  // heard for clock() - t, less where the model let the caller wait within it.
  std::vector<Cut> interrupt();
  // Marks that have not come back.
  size_t marks() const { return marks_.size(); }

 private:
  struct Item {
    std::string item_id, response_id;
    int64_t length_us = 0;  // of what was sent
    uint64_t last_mark = 0;
    bool known = true;
  };
  int64_t remaining_us() const { return end_us_ > clock_ms_ * 1000 ? end_us_ - clock_ms_ * 1000 : 0; }

  std::deque<Item> items_;
  std::deque<uint64_t> marks_;
  uint64_t last_mark_ = 0;
  int64_t clock_ms_ = 0;
  int64_t end_us_ = 0;  // when the last of it will have been played, in microseconds
};

}  // namespace openai_realtime
