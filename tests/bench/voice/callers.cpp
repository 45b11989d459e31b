#include "tests/bench/voice/callers.h"

#include <arpa/inet.h>
#include <openssl/evp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <stdexcept>

#include "tests/bench/load/hmac.h"

namespace postern::voice_load {
namespace {

constexpr int64_t kBehindNs = 40'000'000;  // of the jitter buffer
constexpr int64_t kStopAskedNs = 20'000'000;

std::string sid(const char* kind, uint32_t call) {
  char text[40];
  snprintf(text, sizeof text, "%s%032x", kind, call + 1);
  return text;
}

std::string base64(const uint8_t* bytes, size_t size) {
  std::string text(4 * ((size + 2) / 3), '\0');
  EVP_EncodeBlock(reinterpret_cast<uint8_t*>(text.data()), bytes, static_cast<int>(size));
  return text;
}

std::string handshake(const Options& options) {
  std::string head = "GET " + options.path + " HTTP/1.1\r\nhost: " + options.gateway + ":" + std::to_string(options.gateway_port) +
                     "\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-version: 13\r\n"
                     "sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\nuser-agent: Twilio.TmeWs/1.0\r\n";
  if (!options.auth_token.empty()) {
    const auto mac = load::HmacSha1(options.auth_token).sign(options.sign_url);
    head += "x-twilio-signature: " + base64(mac.data(), mac.size()) + "\r\n";
  }
  return head + "\r\n";
}

}  // namespace

class Callers::Call final : public Connection {
 public:
  // `again`: how many calls there were in its place.
  Call(Callers& callers, uint32_t number, uint32_t again)
      : Connection(callers.loop_, Role::kClient),
        callers_(callers),
        shared_(callers.shared_),
        number_(number),
        stream_(sid("MZ", number + again * shared_.options.calls)),
        call_(sid("CA", number + again * shared_.options.calls)) {}

  int64_t due(int64_t now_ns) override {
    if (!begun_) return begin(now_ns);
    if (ended_) return retire();
    if (shared_.hanging_up) return hang_up();
    if (!shared_.sending) return now_ns + kStopAskedNs;
    next_ns_ += kFrameNs;
    send_frame(now_ns);
    return next_ns_;
  }

  // Nobody calls it any more.
  bool retired() const { return retired_; }
  bool talks() const { return is_open() && !ended_; }
  void cut(bool politely) { politely ? static_cast<void>(hang_up()) : reset("it was cut off on purpose"); }

 private:
  int64_t retire() {
    retired_ = true;
    return 0;
  }
  struct Mark {
    int64_t due_ns;
    std::string name;
  };

  int64_t begin(int64_t now_ns) {
    begun_ = true;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const auto& to = callers_.gateway_;
    if (fd < 0 || (connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0 && errno != EINPROGRESS)) {
      on_end(std::strerror(errno));
      return retire();
    }
    ++shared_.begun;
    attach(fd, true);
    send(callers_.handshake_);
    // A place of its own within the 20 ms.
    const int64_t phase = kFrameNs * number_ / shared_.options.calls;
    next_ns_ = (now_ns / kFrameNs + 1) * kFrameNs + phase;
    return next_ns_;
  }

  bool on_head(std::string_view head) override {
    if (!head.starts_with("HTTP/1.1 101")) return false;
    std::string out;
    add_text(out, R"({"event":"connected","protocol":"Call","version":"1.0.0"})");
    add_text(out, R"({"event":"start","sequenceNumber":"1","start":{"accountSid":")" + sid("AC", 0) + R"(","streamSid":")" + stream_ +
                      R"(","callSid":")" + call_ +
                      R"(","tracks":["inbound"],"mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1},)" +
                      R"("customParameters":{}},"streamSid":")" + stream_ + R"("})");
    sequence_ = 1;
    send(out);
    return true;
  }

  void send_frame(int64_t now_ns) {
    if (!is_open()) return;
    const uint32_t frame = ++frames_;
    std::string& text = loop_.text();
    std::string out;
    std::swap(out, out_buffer_);
    out.clear();
    add_due_marks(out, now_ns);
    text.assign(R"({"event":"media","sequenceNumber":")").append(std::to_string(++sequence_));
    text.append(R"(","media":{"track":"inbound","chunk":")");
    text.append(std::to_string(frame)).append(R"(","timestamp":")").append(std::to_string(uint64_t{frame} * 20)).append(R"(","payload":")");
    const size_t at = text.size();
    text.append(payload_).append(R"("},"streamSid":")").append(stream_).append(R"("})");
    const int64_t sent_ns = steady_ns();
    write_stamp(text.data() + at, {number_, frame, sent_ns});
    add_text(out, text);
    if (shared_.counts(sent_ns)) ++callers_.figures_.sent;
    send(out);
    std::swap(out, out_buffer_);
  }

  void add_due_marks(std::string& out, int64_t now_ns) {
    std::string& text = loop_.text();
    while (!marks_.empty() && marks_.front().due_ns <= now_ns) {
      text.assign(R"({"event":"mark","sequenceNumber":")").append(std::to_string(++sequence_)).append(R"(","streamSid":")").append(stream_);
      text.append(R"(","mark":{"name":")").append(marks_.front().name).append(R"("}})");
      add_text(out, text);
      marks_.pop_front();
    }
  }

  void on_text(std::string_view text) override {
    const std::string_view event = text_after(text, R"("event":")");
    if (event == "media") return on_media(text_after(text, R"("payload":")"));
    if (event == "mark") {
      ++callers_.figures_.marks;
      marks_.push_back({played_ns_ + kBehindNs, std::string(text_after(text, R"("name":")"))});
      return;
    }
    if (event == "clear") return on_clear();
    callers_.figures_.tell("the gateway sent a caller: " + std::string(text.substr(0, 100)));
  }

  void on_media(std::string_view payload) {
    const int64_t now_ns = steady_ns();
    const auto stamp = read_stamp(payload);
    if (!stamp || payload.substr(24) != std::string_view(payload_).substr(24)) {
      callers_.figures_.unlike = true;
      return;
    }
    if (last_heard_ == 0) ++shared_.hearing;
    if (std::exchange(cleared_, false) && shared_.counts(stamp->sent_ns)) callers_.figures_.cleared += stamp->sequence - last_heard_ - 1;
    last_heard_ = stamp->sequence;
    played_ns_ = std::max(played_ns_, now_ns) + kFrameNs;
    if (!shared_.counts(stamp->sent_ns)) return;
    ++callers_.figures_.received;
    callers_.figures_.latency.record(static_cast<uint64_t>(now_ns - stamp->sent_ns) / 1000);
  }

  void on_clear() {
    const int64_t now_ns = steady_ns();
    const int64_t speech_ns = shared_.speech_ns[number_].exchange(0);
    if (speech_ns != 0 && shared_.counts(speech_ns)) callers_.figures_.barge_in.record(static_cast<uint64_t>(now_ns - speech_ns) / 1000);
    cleared_ = true;
    played_ns_ = now_ns;
    for (Mark& mark : marks_) mark.due_ns = now_ns;  // Twilio's come back at once
    std::string out;
    add_due_marks(out, now_ns);
    send(out);
  }

  int64_t hang_up() {
    ended_ = true;
    if (!is_open()) return 0;
    std::string out;
    add_text(out, R"({"event":"stop","sequenceNumber":")" + std::to_string(++sequence_) + R"(","streamSid":")" + stream_ +
                      R"(","stop":{"accountSid":")" + sid("AC", 0) + R"(","callSid":")" + call_ + R"("}})");
    send(out);
    return 0;
  }

  void on_end(std::string_view why) override {
    if (std::exchange(ended_, true) || shared_.hanging_up || shared_.options.drop_s > 0) return;
    ++shared_.broken;
    callers_.figures_.tell("a caller's stream: " + std::string(why));
  }

  Callers& callers_;
  Shared& shared_;
  const uint32_t number_;
  const std::string stream_, call_, payload_ = frame_payload();
  bool begun_ = false, ended_ = false, retired_ = false, cleared_ = false;
  int64_t next_ns_ = 0, played_ns_ = 0;
  uint32_t frames_ = 0, sequence_ = 0, last_heard_ = 0;
  std::deque<Mark> marks_;
  std::string out_buffer_;
};

Callers::Callers(Loop& loop, Shared& shared) : loop_(loop), shared_(shared), handshake_(handshake(shared.options)) {
  gateway_.sin_family = AF_INET;
  gateway_.sin_port = htons(shared.options.gateway_port);
  if (inet_pton(AF_INET, shared.options.gateway.c_str(), &gateway_.sin_addr) != 1) {
    throw std::invalid_argument("--gateway " + shared.options.gateway + ": must be an IPv4 address");
  }
  const int64_t now = steady_ns();
  for (uint32_t i = 0; i < shared.options.calls; ++i) {
    calls_.push_back(std::make_unique<Call>(*this, i, 0));
    loop.at(now + static_cast<int64_t>(i * 1e9 / shared.options.ramp), *calls_.back());
  }
  if (shared.options.drop_s > 0) loop.at(now, *this);
}

// The half of the drops that callers make; the models make the others. In the place of a call that has ended another one begins.
int64_t Callers::due(int64_t now_ns) {
  constexpr int64_t kAgainNs = 200'000'000;
  for (uint32_t i = 0; i < calls_.size(); ++i) {
    if (!calls_[i]->retired() || shared_.hanging_up) continue;
    calls_[i] = std::make_unique<Call>(*this, i, ++again_);
    loop_.at(now_ns + kAgainNs, *calls_[i]);
  }
  Call& one = *calls_[random_() % calls_.size()];
  if (shared_.measuring && one.talks()) {
    ++shared_.dropped;
    one.cut(random_() % 2 == 0);
  }
  return now_ns + static_cast<int64_t>(2e9 * shared_.options.drop_s);
}

Callers::~Callers() = default;

}  // namespace postern::voice_load
