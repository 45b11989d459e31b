// All that RFC 6455 §5 to §8 asks of whoever reads frames, one rule a line, in both roles, with the bytes cut everywhere. What is expected:
// the messages, the pongs' payloads, and how the reading ends.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "core/websocket/codec.h"
#include "tests/unit/websocket/frames.h"

namespace postern::websocket::testing {
namespace {

constexpr size_t kMaxMessage = 200'000;

// What a reader made of it, as a text: "text:ab", "binary:5 bytes", "ping:x", "pong:", "close:1000 bye", "failed:1002".
class Reader final : public Codec::Receiver {
 public:
  explicit Reader(Role role) : codec_(role, kMaxMessage, *this) {}

  void feed(std::string_view bytes, size_t piece) {
    for (; !bytes.empty(); bytes.remove_prefix(std::min(piece, bytes.size()))) codec_.feed(bytes.substr(0, piece));
  }
  std::vector<std::string> seen() const {
    std::vector<std::string> all = seen_;
    if (codec_.failure()) all.push_back("failed:" + std::to_string(codec_.failure()->code));
    return all;
  }
  bool is_reading() const { return codec_.is_reading(); }

  void on_message(Kind kind, std::string_view data) override {
    seen_.push_back((kind == Kind::kText ? "text:" : "binary:") + shown(data));
  }
  void on_ping(std::string_view data) override { seen_.push_back("ping:" + shown(data)); }
  void on_pong(std::string_view data) override { seen_.push_back("pong:" + shown(data)); }
  void on_close(uint16_t code, std::string_view reason) override { seen_.push_back("close:" + std::to_string(code) + " " + std::string(reason)); }

  static std::string shown(std::string_view data) { return data.size() <= 20 ? std::string(data) : std::to_string(data.size()) + " bytes"; }

 private:
  Codec codec_;
  std::vector<std::string> seen_;
};

struct Rule {
  const char* what;  // with its section
  std::vector<Frame> frames;
  std::vector<std::string> seen;
};

Frame part(uint8_t opcode, std::string payload, bool fin) { return {opcode, std::move(payload), fin}; }

std::vector<Rule> frame_rules() {
  const std::string k125(125, 'x'), k126(126, 'x'), k65535(65535, 'x'), k65536(65536, 'x');
  std::vector<Rule> rules{
      {"5.6 a text", {{kText, "Hello"}}, {"text:Hello"}},
      {"5.6 an empty text", {{kText, ""}}, {"text:"}},
      {"5.6 a binary message", {{kBinary, std::string("\0\xff\x80", 3)}}, {"binary:" + std::string("\0\xff\x80", 3)}},
      {"5.6 an empty binary message", {{kBinary, ""}}, {"binary:"}},
      {"5.2 the longest length in 7 bits", {{kText, k125}}, {"text:125 bytes"}},
      {"5.2 the shortest in 16", {{kText, k126}}, {"text:126 bytes"}},
      {"5.2 the longest in 16", {{kText, k65535}}, {"text:65535 bytes"}},
      {"5.2 the shortest in 64", {{kText, k65536}}, {"text:65536 bytes"}},
      {"5.2 several in a row", {{kText, "a"}, {kBinary, "b"}, {kText, "c"}}, {"text:a", "binary:b", "text:c"}},
      {"5.2 a length in 16 bits that fits in 7", {{kText, "abc", true, 0, {}, 2}}, {"failed:1002"}},
      {"5.2 a length in 64 bits that fits in 7", {{kText, "abc", true, 0, {}, 8}}, {"failed:1002"}},
      {"5.2 a length in 64 bits that fits in 16", {{kText, k126, true, 0, {}, 8}}, {"failed:1002"}},
      {"5.2 the highest bit of 64", {{kBinary, "x", true, 0, uint64_t{1} << 63, 8}}, {"failed:1002"}},
      {"5.4 fragments", {part(kText, "Hel", false), part(kContinuation, "lo", true)}, {"text:Hello"}},
      {"5.4 many fragments, some empty",
       {part(kText, "", false), part(kContinuation, "a", false), part(kContinuation, "", false), part(kContinuation, "b", false), part(kContinuation, "", true)},
       {"text:ab"}},
      {"5.4 all fragments empty", {part(kBinary, "", false), part(kContinuation, "", true)}, {"binary:"}},
      {"5.4 a control frame between fragments",
       {part(kText, "a", false), {kPing, "p"}, part(kContinuation, "b", true)},
       {"ping:p", "text:ab"}},
      {"5.4 a close between fragments", {part(kText, "a", false), {kClose, close_payload(1000)}}, {"close:1000 "}},
      {"5.4 a continuation of nothing", {part(kContinuation, "a", true)}, {"failed:1002"}},
      {"5.4 a fragment that continues nothing", {part(kContinuation, "a", false)}, {"failed:1002"}},
      {"5.4 a continuation of what is whole", {{kText, "a"}, part(kContinuation, "b", true)}, {"text:a", "failed:1002"}},
      {"5.4 a text inside a fragmented text", {part(kText, "a", false), {kText, "b"}}, {"failed:1002"}},
      {"5.4 a binary inside a fragmented text", {part(kText, "a", false), {kBinary, "b"}}, {"failed:1002"}},
      {"5.4 two messages in fragments",
       {part(kText, "a", false), part(kContinuation, "b", true), part(kBinary, "c", false), part(kContinuation, "d", true)},
       {"text:ab", "binary:cd"}},
      {"5.5 a control frame of 125 bytes", {{kPing, k125}}, {"ping:125 bytes"}},
      {"5.5 a ping of 126 bytes", {{kPing, k126}}, {"failed:1002"}},
      {"5.5 a pong of 126 bytes", {{kPong, k126}}, {"failed:1002"}},
      {"5.5 a close of 126 bytes", {{kClose, close_payload(1000, std::string(124, 'x'))}}, {"failed:1002"}},
      {"5.5 a fragmented ping", {part(kPing, "a", false)}, {"failed:1002"}},
      {"5.5 a fragmented pong", {part(kPong, "a", false)}, {"failed:1002"}},
      {"5.5 a fragmented close", {part(kClose, close_payload(1000), false)}, {"failed:1002"}},
      {"5.5.2 pings", {{kPing, ""}, {kPing, std::string("\xff\0", 2)}}, {"ping:", "ping:" + std::string("\xff\0", 2)}},
      {"5.5.3 a pong that nobody asked for", {{kPong, "x"}, {kText, "a"}}, {"pong:x", "text:a"}},
      {"5.5.1 a close without a code", {{kClose, ""}}, {"close:1005 "}},
      {"5.5.1 a close with a reason", {{kClose, close_payload(1000, "bye")}}, {"close:1000 bye"}},
      {"5.5.1 the longest reason", {{kClose, close_payload(1001, std::string(123, 'r'))}}, {"close:1001 " + std::string(123, 'r')}},
      {"5.5.1 half a code", {{kClose, "\x03"}}, {"failed:1002"}},
      {"5.5.1 nothing counts behind a close", {{kClose, close_payload(1000)}, {kText, "late"}, {kPing, ""}}, {"close:1000 "}},
      {"5.5.1 not even what breaks the rules", {{kClose, close_payload(1000)}, {3, "x", true, 7}}, {"close:1000 "}},
      {"5.1 the other role's masking", {{kText, "a", true, 0, {}, 0, true}, {kText, "a", true, 0, {}, 0, false}}, {"role"}},
      {"5.8 an extension's bit on a control frame", {{kPing, "a", true, 4}}, {"failed:1002"}},
      {"5.8 an extension's bit on a continuation", {part(kText, "a", false), {kContinuation, "b", true, 4}}, {"failed:1002"}},
      {"7.1.7 nothing is read behind a failure", {{3, ""}, {kText, "a"}}, {"failed:1002"}},
      {"10.4 a message as long as allowed", {{kBinary, std::string(kMaxMessage, 'x')}}, {"binary:200000 bytes"}},
      {"10.4 one that is longer", {{kBinary, std::string(kMaxMessage + 1, 'x')}}, {"failed:1009"}},
      {"10.4 one that says that it will be", {{kBinary, "x", true, 0, uint64_t{1} << 40, 8}}, {"failed:1009"}},
      {"10.4 fragments that are together",
       {part(kBinary, std::string(kMaxMessage, 'x'), false), part(kContinuation, "x", true)},
       {"failed:1009"}},
      {"10.4 fragments that say that they will be",
       {part(kBinary, "x", false), {kContinuation, "x", true, 0, kMaxMessage, 8}},
       {"failed:1009"}},
  };
  for (uint8_t rsv = 1; rsv < 8; ++rsv) rules.push_back({"5.2 a reserved bit", {{kText, "a", true, rsv}}, {"failed:1002"}});
  for (uint8_t opcode : {3, 4, 5, 6, 7, 11, 12, 13, 14, 15}) {
    rules.push_back({"5.2 an opcode that means nothing", {{opcode, "a"}}, {"failed:1002"}});
    rules.push_back({"5.2 and an empty one", {{opcode, ""}}, {"failed:1002"}});
  }
  return rules;
}

std::vector<Rule> close_rules() {
  std::vector<Rule> rules;
  for (int code : {0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 1999, 2000, 2999, 5000, 65535}) {
    rules.push_back({"7.4 a code that must not be sent", {{kClose, close_payload(static_cast<uint16_t>(code), "x")}}, {"failed:1002"}});
  }
  for (int code : {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999}) {
    rules.push_back({"7.4 a code that may", {{kClose, close_payload(static_cast<uint16_t>(code))}}, {"close:" + std::to_string(code) + " "}});
  }
  return rules;
}

// RFC 3629: the shortest and longest of each length, and what is none.
std::vector<Rule> text_rules() {
  std::vector<Rule> rules;
  const std::string good[] = {"\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbf",
                              "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf", "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5", std::string("\0", 1)};
  const std::string bad[] = {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc2", "\xe0\x80\x80", "\xe0\x9f\xbf", "\xe1\x80", "\xed\xa0\x80",
                             "\xed\xbf\xbf", "\xf0\x80\x80\x80", "\xf0\x8f\xbf\xbf", "\xf0\x90\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
                             "\xfe", "\xff", "a\x80z", "\xc2z", "\xf8\x88\x80\x80\x80"};
  for (const std::string& text : good) {
    rules.push_back({"8.1 UTF-8", {{kText, text}}, {"text:" + text}});
    rules.push_back({"8.1 UTF-8 in a reason", {{kClose, close_payload(1000, text)}}, {"close:1000 " + text}});
    if (text.size() < 2) continue;
    rules.push_back({"8.1 a character in two fragments", {part(kText, text.substr(0, 1), false), part(kContinuation, text.substr(1), true)}, {"text:" + text}});
    rules.push_back({"8.1 and a ping between", {part(kText, text.substr(0, 1), false), {kPing, ""}, part(kContinuation, text.substr(1), true)},
                     {"ping:", "text:" + text}});
  }
  for (const std::string& text : bad) {
    rules.push_back({"8.1 what is none", {{kText, text}}, {"failed:1007"}});
    rules.push_back({"8.1 in a reason", {{kClose, close_payload(1000, text)}}, {"failed:1007"}});
    rules.push_back({"8.1 in fragments", {part(kText, "a", false), part(kContinuation, text, true)}, {"failed:1007"}});
    rules.push_back({"8.1 bytes need not be", {{kBinary, text}}, {"binary:" + text}});
    rules.push_back({"8.1 nor a ping's", {{kPing, text}}, {"ping:" + text}});
  }
  return rules;
}

void check(const std::vector<Rule>& rules) {
  for (const Role role : {Role::kServer, Role::kClient}) {
    for (const Rule& rule : rules) {
      std::string bytes;
      for (const Frame& frame : rule.frames) bytes += put(frame, role == Role::kServer);
      auto expected = rule.seen;
      if (expected[0] == "role") expected = role == Role::kServer ? std::vector<std::string>{"text:a", "failed:1002"} : std::vector<std::string>{"failed:1002"};
      for (const size_t piece : {bytes.size(), size_t{1}, size_t{2}, size_t{3}, size_t{5}, size_t{4096}, size_t{4097}}) {
        if (piece < 100 && bytes.size() > 70'000) continue;
        Reader reader(role);
        reader.feed(bytes, std::max<size_t>(piece, 1));
        EXPECT_EQ(reader.seen(), expected) << rule.what << (role == Role::kServer ? ", server" : ", client") << ", in pieces of " << piece;
        const bool ends = expected.back().starts_with("close") || expected.back().starts_with("failed");
        EXPECT_EQ(reader.is_reading(), !ends) << rule.what;
      }
    }
  }
}

TEST(Conformance, OfFrames) { check(frame_rules()); }
TEST(Conformance, OfClosing) { check(close_rules()); }
TEST(Conformance, OfTexts) { check(text_rules()); }

// Each cut of a conversation gives the same.
TEST(Conformance, OfEveryCut) {
  std::string bytes;
  for (const Frame& frame : {part(kText, "Hel", false), Frame{kPing, "p"}, part(kContinuation, "lo", true), Frame{kBinary, std::string(130, 'b')},
                             Frame{kClose, close_payload(1000, "bye")}}) {
    bytes += put(frame, true);
  }
  for (size_t cut = 0; cut <= bytes.size(); ++cut) {
    Reader reader(Role::kServer);
    reader.feed(bytes.substr(0, cut), bytes.size());
    reader.feed(bytes.substr(cut), bytes.size());
    EXPECT_EQ(reader.seen(), (std::vector<std::string>{"ping:p", "text:Hello", "binary:130 bytes", "close:1000 bye"})) << cut;
  }
}

// ---- what is written

TEST(Writing, IsAsTheRoleHasIt) {
  for (const Role role : {Role::kServer, Role::kClient}) {
    Reader receiver(role);
    Codec codec(role, kMaxMessage, receiver);
    for (const size_t size : {0u, 1u, 125u, 126u, 4095u, 4096u, 4097u, 65'535u, 65'536u, 100'000u}) {
      std::string payload;
      for (size_t i = 0; i < size; ++i) payload += static_cast<char>('a' + i % 26);
      std::string out;
      codec.put_message(Kind::kText, payload, out);
      codec.put_message(Kind::kBinary, payload, out);
      for (const uint8_t opcode : {kText, kBinary}) {
        const auto frame = get(out);
        ASSERT_TRUE(frame) << size;
        EXPECT_EQ(frame->opcode, opcode);
        EXPECT_EQ(frame->payload, payload);
        EXPECT_EQ(*frame->masked, role == Role::kClient) << "§5.1";
        EXPECT_TRUE(frame->fin && frame->rsv == 0);
      }
      EXPECT_TRUE(out.empty());
    }
  }
}

TEST(Writing, MasksEachFrameAnew) {
  Reader receiver(Role::kClient);
  Codec codec(Role::kClient, kMaxMessage, receiver);
  std::set<std::string> masks;
  for (int i = 0; i < 1000; ++i) {
    std::string out;
    codec.put_message(Kind::kText, "x", out);
    masks.insert(out.substr(2, 4));
  }
  EXPECT_GT(masks.size(), 990u) << "§5.3: unpredictable";
}

TEST(Writing, KeepsControlFramesShort) {
  Reader receiver(Role::kServer);
  Codec codec(Role::kServer, kMaxMessage, receiver);
  std::string out;
  codec.put_ping(std::string(200, 'x'), out);
  codec.put_pong(std::string(200, 'x'), out);
  codec.put_close(1011, std::string(122, 'x') + "é", out);
  codec.put_close(1000, "", out);
  codec.put_close(kNoStatus, "not told", out);
  EXPECT_EQ(get(out)->payload.size(), 125u);
  EXPECT_EQ(get(out)->payload.size(), 125u);
  EXPECT_EQ(get(out)->payload, close_payload(1011, std::string(122, 'x'))) << "cut between characters";
  EXPECT_EQ(get(out)->payload, close_payload(1000));
  EXPECT_EQ(get(out)->payload, "");
  EXPECT_TRUE(out.empty());
}

}  // namespace
}  // namespace postern::websocket::testing
