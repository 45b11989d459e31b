// What a FakeHost's test sees of a WebSocket session: both of those that a plugin accepts and of those that it connects. Plain values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "postern/ext/websocket.h"

namespace postern::testing {

// What the plugin sent.
struct SessionMessage {
  uint32_t kind = POSTERN_MESSAGE_TEXT;
  bool media = false;
  std::string data;
};

// That it closed, and how.
struct SessionClosed {
  uint32_t code = 0;
  std::string reason;
};

// How a test lets a session end.
struct SessionEnded {
  uint32_t code = 1000;
  bool by_peer = true;
  uint32_t http_status = 0;
  uint64_t dropped = 0;
  std::string reason = {};
};

struct SessionView {
  size_t session = 0;  // its number, from 1
  bool is_client = false;
  std::string url, protocols, ca_file, proxy;  // clients; protocols: servers as well
  std::vector<std::pair<std::string, std::string>> headers;
  uint32_t connect_ms = 0;
  size_t beside = 0;  // the session on whose thread it is; 0: on any
  struct {
    uint32_t ping_ms = 0;
    uint64_t max_message = 0, max_queued = 0;
  } limits;  // as given; 0: the host's default
  bool open = false, ended = false, paused = false;
  std::optional<SessionClosed> closed;  // by the plugin
  std::optional<int64_t> armed_ms;      // when its timer is due, as pass() counts
  size_t discards = 0;                  // calls of discard_media()
};

}  // namespace postern::testing
