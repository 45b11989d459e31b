#include "core/http/request_reader.h"

#include <algorithm>
#include <utility>

#include "core/base/broken.h"
#include "core/http/characters.h"
#include "core/http/framing.h"

namespace postern::http {
namespace {

constexpr size_t kMaxMethod = 32;
constexpr size_t kUsualHead = 1024;
// Whoever reads the body with vector instructions may look a little beyond its end.
constexpr size_t kBodyPadding = 64;
// What a Content-Length may make us allocate before its bytes are here.
constexpr uint64_t kMaxReserve = 64 * 1024 - kBodyPadding;

}  // namespace

void RequestReader::refuse(int status, const char* reason) {
  state_ = State::kRefused;
  refusal_ = {status, reason};
}

size_t RequestReader::feed(std::string_view data) {
  if (state_ == State::kHead) return feed_head(data);
  if (state_ == State::kBody) return feed_body(data);
  return 0;
}

size_t RequestReader::feed_head(std::string_view data) {
  std::string& head = request_.head_;
  size_t consumed = 0;
  if (head.empty()) head.reserve(std::min(data.size(), kUsualHead));
  while (consumed < data.size() && state_ == State::kHead) {
    const std::string_view rest = data.substr(consumed, line_room());
    const size_t line_end = rest.find('\n');
    if (line_end == std::string_view::npos) {
      const size_t fresh_begin = head.size();
      head.append(rest);
      consumed += rest.size();
      check_unfinished_line(fresh_begin);
    } else {
      head.append(rest, 0, line_end + 1);
      consumed += line_end + 1;
      finish_line();
    }
  }
  return consumed;
}

// How many bytes may be looked at before a limit is checked. Taking no more than that makes the outcome the same
// however the bytes were cut.
size_t RequestReader::line_room() const {
  const size_t head_room = limits_.head > request_.head_.size() ? limits_.head - request_.head_.size() : 1;
  if (request_line_done_) return head_room;
  const size_t line = line_so_far().size();
  return std::min(head_room, line <= limits_.request_line ? limits_.request_line + 1 - line : 1);
}

// A peer that will never send a good line must not be waited for: TLS on the plain port, endless lines, control bytes.
void RequestReader::check_unfinished_line(size_t fresh_begin) {
  const std::string_view head = request_.head_;
  std::string_view fresh = head.substr(fresh_begin);
  std::string_view line = line_so_far();
  if (fresh_begin > line_begin_ && head[fresh_begin - 1] == '\r') return refuse(400, "bare CR");
  if (fresh.back() == '\r') {
    fresh.remove_suffix(1);
    line.remove_suffix(1);
  }
  const CharClass wanted = request_line_done_ ? kFieldChar : kLineChar;
  if (!all_chars(fresh, wanted)) return refuse(400, "forbidden byte in the head");
  if (!request_line_done_) {
    head_started_ = head_started_ || !line.empty();
    const size_t method_end = line.substr(0, kMaxMethod + 1).find(' ');
    const bool too_long = method_end == std::string_view::npos && line.size() > kMaxMethod;
    if (too_long || method_end == 0 || !all_chars(line.substr(0, std::min(method_end, kMaxMethod)), kTokenChar)) {
      return refuse(400, "malformed method");
    }
    if (line.size() > limits_.request_line) return refuse(414, "request line too long");
  } else if (!line.empty() && !is_char(line.front(), kTokenChar)) {
    return refuse(400, "malformed header line");
  }
  if (head.size() >= limits_.head) refuse(431, "request head too large");
}

void RequestReader::finish_line() {
  std::string& head = request_.head_;
  std::string_view line = line_so_far();
  const bool crlf = line.size() >= 2 && line[line.size() - 2] == '\r';
  if (!crlf && !broken::kBareLf) return refuse(400, "bare LF");
  line.remove_suffix(crlf ? 2 : 1);
  if (!request_line_done_ && line.empty()) {
    // RFC 9112 §2.2: an empty line may come before the request line. One is courtesy; more is somebody who plays for
    // time.
    if (empty_line_skipped_) return refuse(400, "empty lines before the request");
    empty_line_skipped_ = true;
    head.clear();
    return;
  }
  if (!request_line_done_) {
    parse_request_line(line);
  } else if (line.empty()) {
    finish_head();
  } else {
    parse_field(line_begin_, line_begin_ + line.size());
  }
  line_begin_ = head.size();
  if (state_ == State::kHead && head.size() >= limits_.head) refuse(431, "request head too large");
}

// METHOD SP target SP version, with single spaces (RFC 9112 §3).
void RequestReader::parse_request_line(std::string_view line) {
  head_started_ = true;
  const size_t method_end = line.find(' ');
  const std::string_view method = line.substr(0, method_end);
  if (method.empty() || method.size() > kMaxMethod || !all_chars(method, kTokenChar)) {
    return refuse(400, "malformed method");
  }
  if (method_end == std::string_view::npos) return refuse(400, "malformed request line");
  const size_t target_begin = method_end + 1;
  const size_t target_end = std::min(line.find(' ', target_begin), line.size());
  const std::string_view target = line.substr(target_begin, target_end - target_begin);
  if (!all_chars(target, kTargetChar)) return refuse(400, "malformed request target");
  if (target_end == line.size()) return refuse(400, "malformed request line");
  if (!parse_version(line.substr(target_end + 1))) return;

  request_.method_ = {0, static_cast<uint32_t>(method.size())};
  request_.target_ = {static_cast<uint32_t>(target_begin), static_cast<uint32_t>(target.size())};
  if (!request_.split_target()) return refuse(400, "unusable request target");
  request_.fields_.reserve(16);
  request_line_done_ = true;
}

bool RequestReader::parse_version(std::string_view version) {
  const bool well_formed = version.size() == 8 && version.substr(0, 5) == "HTTP/" && is_char(version[5], kDigitChar) &&
                           version[6] == '.' && is_char(version[7], kDigitChar);
  if (!well_formed) {
    refuse(400, "malformed request line");
    return false;
  }
  if (version[5] != '1' || version[7] > '1') {
    refuse(505, "HTTP version not supported");
    return false;
  }
  request_.http_1_0_ = version[7] == '0';
  return true;
}

// A header line, from `begin` up to its CRLF at `end`. Obsolete folding and white space before the colon fall under the
// name: one program joins such a line to the one before, another takes it for a header (RFC 9112 §5.1, §5.2).
void RequestReader::parse_field(size_t begin, size_t end) {
  const std::string_view line = std::string_view(request_.head_).substr(begin, end - begin);
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos || colon == 0) return refuse(400, "malformed header line");
  if (!all_chars(line.substr(0, colon), kTokenChar)) return refuse(400, "malformed header name");
  const std::string_view raw = line.substr(colon + 1);
  if (!all_chars(raw, kFieldChar)) return refuse(400, "forbidden byte in a header value");
  if (request_.fields_.size() >= limits_.headers) return refuse(431, "too many headers");
  const std::string_view value = trim_white_space(raw);
  const size_t value_begin = static_cast<size_t>(value.data() - request_.head_.data());
  request_.fields_.push_back({{static_cast<uint32_t>(begin), static_cast<uint32_t>(colon)},
                              {static_cast<uint32_t>(value_begin), static_cast<uint32_t>(value.size())}});
}

void RequestReader::finish_head() {
  const Framing framing = read_framing(request_);
  if (framing.status != 0) return refuse(framing.status, framing.reason);
  chunked_ = framing.chunked;
  content_length_ = framing.content_length;
  expects_continue_ = framing.expects_continue;
  request_.keep_alive_ = framing.keep_alive;
  state_ = State::kHeadComplete;
}

void RequestReader::begin_body(uint64_t max_body) {
  if (state_ != State::kHeadComplete) return;
  if (content_length_ > max_body) return refuse(413, "body too large");
  max_body_ = max_body;
  // Attack: a large Content-Length on many connections, and nothing behind it.
  if (has_body()) request_.body_.reserve(static_cast<size_t>(std::min(content_length_, kMaxReserve)) + kBodyPadding);
  state_ = has_body() ? State::kBody : State::kComplete;
}

size_t RequestReader::feed_body(std::string_view data) {
  std::string& body = request_.body_;
  if (!chunked_) {
    const size_t n = static_cast<size_t>(std::min<uint64_t>(content_length_ - body.size(), data.size()));
    body.append(data, 0, n);
    if (body.size() == content_length_) state_ = State::kComplete;
    return n;
  }
  const size_t n = chunks_.feed(data, body, max_body_);
  switch (chunks_.state()) {
    case ChunkedReader::State::kReading:
      break;
    case ChunkedReader::State::kComplete:
      state_ = State::kComplete;
      break;
    case ChunkedReader::State::kMalformed:
      refuse(400, "malformed chunked body");
      break;
    case ChunkedReader::State::kTooLarge:
      refuse(413, "body too large");
      break;
  }
  return n;
}

Request RequestReader::take() {
  Request out = std::move(request_);
  *this = RequestReader(limits_);
  return out;
}

}  // namespace postern::http
