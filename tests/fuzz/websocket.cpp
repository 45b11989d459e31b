// WebSocket frames: the codec beside a reader of our own, written after RFC 6455 alone. Input: a byte for the role and how the bytes are cut;
// the bytes of a peer.
#include <simdjson.h>

#include <algorithm>
#include <string>

#include "core/websocket/codec.h"
#include "tests/fuzz/fuzz.h"

namespace postern::fuzz {
namespace {

using websocket::Codec;
using websocket::Kind;
using websocket::Role;

constexpr size_t kMaxMessage = 1000;

// All that came, each with its length, and how the reading ended.
struct Seen {
  std::string all;
  int failed = 0;
  bool closed = false;

  void add(char what, std::string_view data) { all.append(1, what).append(std::to_string(data.size())).append(":").append(data); }
  bool operator==(const Seen&) const = default;
};

bool is_utf8(std::string_view text) { return simdjson::validate_utf8(text.data(), text.size()); }

// §5.2 to §7.4, over the whole input at once. `cut`: it ends within a frame, which the codec may have refused by then or not.
Seen reference(std::string_view in, bool from_client, bool& cut) {
  Seen seen;
  std::string message;
  char kind = 0;
  const auto fail = [&](int code) {
    seen.failed = code;
    return seen;
  };
  while (in.size() >= 2) {
    const auto byte = [&](size_t i) { return static_cast<unsigned char>(in[i]); };
    const bool fin = (byte(0) & 0x80) != 0, masked = (byte(1) & 0x80) != 0;
    const int rsv = byte(0) >> 4 & 7, opcode = byte(0) & 15;
    uint64_t length = byte(1) & 0x7F;
    const size_t more = length == 126 ? 2 : length == 127 ? 8 : 0;
    const size_t head = 2 + more + (masked ? 4 : 0);
    if (in.size() < head) {
      cut = true;
      break;
    }
    if (more > 0) length = 0;
    for (size_t i = 0; i < more; ++i) length = length << 8 | byte(2 + i);
    if ((more == 2 && length < 126) || (more == 8 && (length < 65536 || length >> 63 != 0))) return fail(1002);
    if (length > 0 && in.size() == head) {
      cut = true;
      break;
    }
    if (rsv != 0 || masked != from_client) return fail(1002);
    const bool control = (opcode & 8) != 0;
    if (control ? opcode > 10 || !fin || length > 125 : opcode > 2) return fail(1002);
    if (!control && (opcode == 0) != (kind != 0)) return fail(1002);
    if (!control && length > kMaxMessage - message.size()) return fail(1009);
    if (in.size() - head < length) {
      cut = true;
      break;
    }
    std::string payload(in.substr(head, length));
    for (size_t i = 0; masked && i < length; ++i) payload[i] = static_cast<char>(payload[i] ^ in[head - 4 + i % 4]);
    in.remove_prefix(head + length);
    if (opcode == 9 || opcode == 10) {
      seen.add(opcode == 9 ? 'p' : 'q', payload);
    } else if (opcode == 8) {
      if (payload.size() == 1) return fail(1002);
      const int code = payload.empty() ? 1005 : static_cast<unsigned char>(payload[0]) << 8 | static_cast<unsigned char>(payload[1]);
      const bool known = payload.empty() || (code >= 3000 && code < 5000) || (code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006);
      if (!known) return fail(1002);
      const std::string reason = payload.substr(payload.empty() ? 0 : 2);
      if (!is_utf8(reason)) return fail(1007);
      seen.add('c', std::to_string(code) + reason);
      seen.closed = true;
      return seen;
    } else {
      if (opcode != 0) kind = opcode == 1 ? 't' : 'b';
      message += payload;
      if (!fin) continue;
      if (kind == 't' && !is_utf8(message)) return fail(1007);
      seen.add(kind, message);
      message.clear();
      kind = 0;
    }
  }
  return seen;
}

class Reader final : public Codec::Receiver {
 public:
  explicit Reader(Role role) : codec_(role, kMaxMessage, *this) {}
  Seen read(std::string_view bytes, size_t piece) {
    for (; !bytes.empty(); bytes.remove_prefix(std::min(piece, bytes.size()))) codec_.feed(bytes.substr(0, piece));
    if (codec_.failure()) seen_.failed = codec_.failure()->code;
    EXPECT(codec_.is_reading() == (seen_.failed == 0 && !seen_.closed));
    return seen_;
  }
  void on_message(Kind kind, std::string_view data) override { seen_.add(kind == Kind::kText ? 't' : 'b', data); }
  void on_ping(std::string_view data) override { seen_.add('p', data); }
  void on_pong(std::string_view data) override { seen_.add('q', data); }
  void on_close(uint16_t code, std::string_view reason) override {
    seen_.add('c', std::to_string(code) + std::string(reason));
    seen_.closed = true;
  }

 private:
  Codec codec_;
  Seen seen_;
};

// What one role writes the other reads.
void check_round_trip(std::string_view data, Role role) {
  Reader nobody(role), other(role == Role::kServer ? Role::kClient : Role::kServer);
  Codec codec(role, kMaxMessage, nobody);
  data = data.substr(0, kMaxMessage);
  Seen expected;
  std::string out;
  codec.put_message(Kind::kBinary, data, out);
  expected.add('b', data);
  if (is_utf8(data)) {
    codec.put_message(Kind::kText, data, out);
    expected.add('t', data);
    codec.put_close(1000, data, out);
  }
  Seen seen = other.read(out, 7);
  if (seen.closed) seen.all.resize(expected.all.size());  // the reason may have been cut
  EXPECT(seen.all == expected.all && seen.failed == 0);
}

}  // namespace
}  // namespace postern::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace postern::fuzz;
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const bool from_client = (data[0] & 1) != 0;
  const Role role = from_client ? Role::kServer : Role::kClient;
  bool cut = false;
  const Seen expected = reference(bytes, from_client, cut);
  for (const size_t piece : {bytes.size(), size_t{1}, size_t{1} + (data[0] >> 1)}) {
    Seen seen = Reader(role).read(bytes, std::max<size_t>(piece, 1));
    if (cut && seen.failed != 1007) seen.failed = 0;
    EXPECT_THAT(seen == expected, std::to_string(seen.failed) + " " + std::to_string(expected.failed) + "\n" + seen.all + "\n" + expected.all);
  }
  check_round_trip(bytes, role);
  return 0;
}
