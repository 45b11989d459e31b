#include "tests/bench/voice/models.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <system_error>

namespace postern::voice_load {
namespace {

constexpr int64_t kStopAskedNs = 20'000'000;
constexpr const char* kSession = R"(","session":{"type":"realtime","object":"realtime.session","id":"sess_1","model":"gpt-realtime"}})";

std::string accept_key(std::string_view head) {
  constexpr std::string_view kName = "sec-websocket-key:";
  const auto same = [](char a, char b) { return std::tolower(static_cast<unsigned char>(a)) == b; };
  const auto found = std::search(head.begin(), head.end(), kName.begin(), kName.end(), same);
  if (found == head.end()) return {};
  std::string_view key = head.substr(static_cast<size_t>(found - head.begin()) + kName.size());
  key = key.substr(0, key.find('\r'));
  key.remove_prefix(std::min(key.find_first_not_of(' '), key.size()));
  const std::string text = std::string(key) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  uint8_t digest[SHA_DIGEST_LENGTH];
  SHA1(reinterpret_cast<const uint8_t*>(text.data()), text.size(), digest);
  std::string accept(28, '\0');
  EVP_EncodeBlock(reinterpret_cast<uint8_t*>(accept.data()), digest, sizeof digest);
  return accept;
}

}  // namespace

class Models::Call final : public Connection {
 public:
  Call(Models& models, int fd, uint32_t number)
      : Connection(models.loop_, Role::kServer), models_(models), shared_(models.shared_), number_(number) {
    attach(fd, false);
  }

  int64_t due(int64_t now_ns) override {
    if (ended_) return retire();
    if (!shared_.sending) return now_ns + kStopAskedNs;
    next_ns_ += kFrameNs;
    send_delta();
    return next_ns_;
  }

  // Nobody calls it any more.
  bool retired() const { return retired_ || (ended_ && next_ns_ == 0); }
  bool talks() const { return is_open() && heard_ && !ended_; }
  void cut(bool politely) {
    std::string out;
    if (politely) add_close(out, 1011, "the server had an error");
    if (politely) send(out);
    politely ? end("it was closed on purpose") : reset("it was cut off on purpose");
  }
  bool can_be_interrupted() const { return !ended_ && heard_ && frames_ > 50 && shared_.speech_ns[caller_] == 0; }

  // The caller speaks: the response ends where it is, and the next one begins.
  void interrupt() {
    std::string out;
    add_text(out, R"({"type":"input_audio_buffer.speech_started","event_id":")" + event_id() + R"(","audio_start_ms":)" +
                      std::to_string(uint64_t{frames_} * 20) + R"(,"item_id":"item_caller_)" + std::to_string(responses_) + R"("})");
    const int64_t now_ns = steady_ns();
    shared_.speech_ns[caller_] = now_ns;
    if (shared_.counts(now_ns)) ++models_.figures_.barge_ins;
    send(out);
    out.clear();
    add_text(out, R"({"type":"response.done","event_id":")" + event_id() + R"(","response":{"id":")" + response_ +
                      R"(","object":"realtime.response","status":"cancelled",)" +
                      R"("status_details":{"type":"cancelled","reason":"turn_detected"},"output":[]}})");
    begin_response(out);
    send(out);
  }

 private:
  int64_t retire() {
    retired_ = true;
    return 0;
  }
  std::string event_id() { return "event_" + std::to_string(++events_); }

  bool on_head(std::string_view head) override {
    const std::string accept = accept_key(head);
    if (accept.empty()) return false;
    std::string out = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: ";
    out += accept + "\r\n\r\n";
    add_text(out, R"({"type":"session.created","event_id":")" + event_id() + kSession);
    send(out);
    return true;
  }

  void on_text(std::string_view text) override {
    const std::string_view type = text_after(text, R"("type":")");
    if (type == "input_audio_buffer.append") return on_append(text_after(text, R"("audio":")"));
    if (type == "session.update") return begin();
    if (type != "conversation.item.truncate") models_.figures_.tell("the gateway sent the model: " + std::string(text.substr(0, 100)));
  }

  void begin() {
    std::string out;
    add_text(out, R"({"type":"session.updated","event_id":")" + event_id() + kSession);
    begin_response(out);
    send(out);
    if (next_ns_ != 0) return;
    const int64_t phase = kFrameNs * number_ / shared_.options.calls;
    next_ns_ = (steady_ns() / kFrameNs + 1) * kFrameNs + phase;
    loop_.at(next_ns_, *this);
  }

  void begin_response(std::string& out) {
    response_ = "resp_" + std::to_string(number_) + "_" + std::to_string(++responses_);
    item_ = "item_" + std::to_string(number_) + "_" + std::to_string(responses_);
    add_text(out, R"({"type":"response.created","event_id":")" + event_id() + R"(","response":{"id":")" + response_ +
                      R"(","object":"realtime.response","status":"in_progress","output":[]}})");
  }

  void send_delta() {
    std::string& text = loop_.text();
    text.assign(R"({"type":"response.output_audio.delta","event_id":"event_)").append(std::to_string(++events_));
    text.append(R"(","response_id":")").append(response_).append(R"(","item_id":")").append(item_);
    text.append(R"(","output_index":0,"content_index":0,"delta":")");
    const size_t at = text.size();
    text.append(payload_).append(R"("})");
    const int64_t sent_ns = steady_ns();
    write_stamp(text.data() + at, {number_, ++frames_, sent_ns});
    if (shared_.counts(sent_ns)) ++models_.figures_.sent;
    out_buffer_.clear();
    add_text(out_buffer_, text);
    send(out_buffer_);
  }

  void on_append(std::string_view payload) {
    const int64_t now_ns = steady_ns();
    const auto stamp = read_stamp(payload);
    if (!stamp || stamp->call >= shared_.options.calls || payload.substr(24) != std::string_view(payload_).substr(24)) {
      models_.figures_.unlike = true;
      return;
    }
    if (!std::exchange(heard_, true)) ++shared_.heard;
    caller_ = stamp->call;
    if (!shared_.counts(stamp->sent_ns)) return;
    ++models_.figures_.received;
    models_.figures_.latency.record(static_cast<uint64_t>(now_ns - stamp->sent_ns) / 1000);
  }

  void on_end(std::string_view why) override {
    if (std::exchange(ended_, true) || shared_.hanging_up || shared_.options.drop_s > 0) return;
    ++shared_.broken;
    models_.figures_.tell("a model's session: " + std::string(why));
  }

  Models& models_;
  Shared& shared_;
  const uint32_t number_;
  uint32_t caller_ = 0;
  const std::string payload_ = frame_payload();
  std::string response_, item_, out_buffer_;
  bool heard_ = false, ended_ = false, retired_ = false;
  int64_t next_ns_ = 0;
  uint32_t frames_ = 0, events_ = 0, responses_ = 0;
};

Models::Models(Loop& loop, Shared& shared)
    : loop_(loop), shared_(shared), listener_(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(shared.options.model_port);
  socklen_t size = sizeof address;
  const int on = 1;
  setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (listener_ < 0 || bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 || listen(listener_, 4096) != 0 ||
      getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    throw std::system_error(errno, std::generic_category(), "--model-port " + std::to_string(shared.options.model_port));
  }
  port_ = ntohs(address.sin_port);
  loop_.watch(listener_, *this, EPOLLIN, true);
  if (shared.options.barge_in_s > 0) loop_.at(steady_ns(), *this);
  if (shared.options.drop_s > 0) loop_.at(steady_ns() + static_cast<int64_t>(1e9 * shared.options.drop_s), drops_);
}

Models::~Models() { close(listener_); }

void Models::ready(uint32_t) {
  for (int fd = 0; (fd = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
    calls_.push_back(std::make_unique<Call>(*this, fd, accepted_++));
  }
}

int64_t Models::due(int64_t now_ns) {
  const int64_t next_ns = now_ns + static_cast<int64_t>(shared_.options.barge_in_s * 1e9);
  // Not near the ends of the measurement: what a barge-in takes back was sent within it, then, and so was what follows.
  const int64_t margin_ns = std::min<int64_t>(1'000'000'000, static_cast<int64_t>(shared_.options.seconds * 1e9 / 4));
  const int64_t begin_ns = shared_.begin_ns, end_ns = shared_.end_ns;
  if (!shared_.measuring || now_ns - begin_ns < margin_ns || end_ns - now_ns < margin_ns) return next_ns;
  for (size_t tried = 0; tried < calls_.size(); ++tried) {
    Call& call = *calls_[next_speaker_++ % calls_.size()];
    if (!call.can_be_interrupted()) continue;
    call.interrupt();
    break;
  }
  return next_ns;
}

int64_t Models::Drops::due(int64_t now_ns) {
  std::erase_if(models.calls_, [](const auto& call) { return call->retired(); });
  if (models.shared_.measuring && !models.calls_.empty()) {
    Call& one = *models.calls_[random() % models.calls_.size()];
    if (one.talks()) {
      ++models.shared_.dropped;
      one.cut(random() % 2 == 0);
    }
  }
  return now_ns + static_cast<int64_t>(2e9 * models.shared_.options.drop_s);
}

}  // namespace postern::voice_load
