// Outbox: what a session has still to send, bounded. Media (audio, mostly) is worth something only in time: where it does not fit, the
// oldest of it is dropped, and counted. Control messages are kept whatever happens; a peer that takes none of them any more is given up.
// Thread-safety: one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "core/websocket/codec.h"

namespace postern::websocket {

enum class Class { kControl, kMedia };

class Outbox {
 public:
  // `max_bytes`: above it media is dropped. With control messages alone it may grow to four times as much. A message counts as 64 at least.
  explicit Outbox(size_t max_bytes) : max_bytes_(max_bytes) {}

  // False: it is four times as full as it should be, and the message was not taken.
  bool put(Kind kind, std::string_view data, Class what);
  bool empty() const { return messages_.empty(); }
  size_t bytes() const { return bytes_; }
  uint64_t dropped() const { return dropped_; }

  struct Message {
    Kind kind;
    Class what;
    std::string data;
  };
  // The oldest; not when empty().
  Message take();
  void drop_media();        // counted
  uint64_t discard_media();  // not counted: how many
  void clear();

 private:
  void drop_oldest_media(size_t until_bytes);

  const size_t max_bytes_;
  std::deque<Message> messages_;
  size_t bytes_ = 0;
  uint64_t dropped_ = 0;
};

}  // namespace postern::websocket
