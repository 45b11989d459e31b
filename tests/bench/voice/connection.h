// Connection: a WebSocket's end, with as little work for a frame as can be: no mask to speak of (a client's is zero), no copy of what
// came whole, one recv and one send for all that is there. It takes what a well-behaved peer sends: no fragments. Thread-safety: its loop's.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "tests/bench/voice/loop.h"

namespace postern::voice_load {

// The text behind `key`, up to its quote: of the short messages here that is all the JSON that there is to read.
inline std::string_view text_after(std::string_view json, std::string_view key) {
  const size_t at = json.find(key);
  if (at == json.npos) return {};
  const std::string_view rest = json.substr(at + key.size());
  return rest.substr(0, rest.find('"'));
}

class Connection : public Handler {
 public:
  enum class Role { kClient, kServer };

  Connection(Loop& loop, Role role) : loop_(loop), role_(role) {}
  ~Connection() override;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void ready(uint32_t events) override;

 protected:
  // The handshake's head, without its empty line; false refuses it.
  virtual bool on_head(std::string_view head) = 0;
  virtual void on_text(std::string_view text) = 0;
  // Once; nothing can be sent any more.
  virtual void on_end(std::string_view why) = 0;

  void attach(int fd, bool connecting);
  bool is_open() const { return phase_ == Phase::kOpen; }
  void add_text(std::string& out, std::string_view text) const { add_frame(out, 0x1, text); }
  void add_close(std::string& out, uint16_t code, std::string_view reason) const {
    add_frame(out, 0x8, std::string{static_cast<char>(code >> 8), static_cast<char>(code & 255)} + std::string(reason));
  }
  // Sends now what the socket takes, keeps the rest.
  void send(std::string_view bytes);
  void end(std::string_view why);
  // Without a word, and without what the socket still holds.
  void reset(std::string_view why);

  Loop& loop_;

 private:
  enum class Phase { kNone, kHandshake, kOpen, kEnded };

  void add_frame(std::string& out, uint8_t opcode, std::string_view payload) const;
  void receive();
  size_t take(char* data, size_t size);
  size_t take_head(std::string_view data);
  void on_frame(uint8_t opcode, std::string_view payload);

  const Role role_;
  Phase phase_ = Phase::kNone;
  int fd_ = -1;
  bool connecting_ = false, blocked_ = false;
  std::string in_, out_;
};

}  // namespace postern::voice_load
