// Codec: WebSocket frames in memory (RFC 6455 §5 to §8). Bytes go in and messages come out; messages go in and bytes come out. wslay takes
// frames apart and puts them together; what may follow what, fragments, UTF-8 and the closing codes are decided here.
//
// What breaks the rules ends the reading: failure() has the code with which the connection must be closed (1002, 1007 or 1009).
// Thread-safety: one thread at a time.
#pragma once

#include <wslay/wslay.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace postern::websocket {

enum class Role { kServer, kClient };
enum class Kind { kText, kBinary };

// The codes of §7.4.1 that are used here. kNone and kLost never stand in a frame.
enum CloseCode : uint16_t {
  kNormal = 1000,
  kGoingAway = 1001,
  kProtocolError = 1002,
  kNoStatus = 1005,
  kLost = 1006,
  kNotUtf8 = 1007,
  kPolicy = 1008,
  kTooBig = 1009,
  kInternalError = 1011,
  kTryAgainLater = 1013,
};

class Codec {
 public:
  // What came. Calls happen inside feed(); the texts are valid during the call. From inside, frames may be put, but feed() not called.
  class Receiver {
   public:
    virtual void on_message(Kind kind, std::string_view data) = 0;
    virtual void on_ping(std::string_view data) = 0;
    virtual void on_pong(std::string_view data) = 0;
    // `code`: kNoStatus where the frame has none. Nothing comes behind it.
    virtual void on_close(uint16_t code, std::string_view reason) = 0;

   protected:
    ~Receiver() = default;
  };

  Codec(Role role, size_t max_message, Receiver& receiver);
  Codec(const Codec&) = delete;
  Codec& operator=(const Codec&) = delete;

  // Bytes as they came, cut anywhere. Nothing is read behind a close frame, a failure, or end_reading().
  void feed(std::string_view bytes);
  void end_reading() { reading_ = false; }
  bool is_reading() const { return reading_; }
  struct Failure {
    uint16_t code;
    const char* why;
  };
  const std::optional<Failure>& failure() const { return failure_; }

  // Append one frame to `out`; a client's is masked with a key of its own (§5.3). At most 125 bytes of payload for the last three, of which
  // a reason is cut between characters; a code of kNoStatus puts an empty close frame.
  void put_message(Kind kind, std::string_view data, std::string& out);
  void put_ping(std::string_view data, std::string& out);
  void put_pong(std::string_view data, std::string& out);
  void put_close(uint16_t code, std::string_view reason, std::string& out);

 private:
  struct Freed {
    void operator()(wslay_frame_context* context) const { wslay_frame_context_free(context); }
  };
  static ssize_t take(uint8_t* to, size_t size, int flags, void* self);
  static ssize_t give(const uint8_t* data, size_t size, int flags, void* self);
  static int make_mask(uint8_t* to, size_t size, void* self);

  void fail(uint16_t code, const char* why);
  bool begin_frame(const wslay_frame_iocb& frame);
  void end_frame(const wslay_frame_iocb& frame, std::string_view whole);
  void end_message(std::string_view data);
  void end_control(uint8_t opcode, std::string_view data);
  void end_close(std::string_view data);
  void put(uint8_t opcode, std::string_view data, std::string& out);

  const Role role_;
  const size_t max_message_;
  Receiver& receiver_;
  std::unique_ptr<wslay_frame_context, Freed> context_;
  std::string_view input_;         // inside feed()
  std::string* output_ = nullptr;  // inside put()
  bool reading_ = true;
  std::optional<Failure> failure_;

  bool in_frame_ = false;
  uint64_t rest_ = 0;               // bytes of the frame that are still to come
  std::optional<Kind> fragmented_;  // the message whose fragments come
  std::string message_;             // of it, and of a frame that comes in parts
  std::string control_;
};

// Whether a close frame may carry it (§7.4).
bool is_close_code(uint16_t code);

}  // namespace postern::websocket
