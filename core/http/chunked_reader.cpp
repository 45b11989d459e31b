#include "core/http/chunked_reader.h"

#include <algorithm>

#include "core/base/broken.h"
#include "core/http/characters.h"

namespace postern::http {

size_t ChunkedReader::feed(std::string_view data, std::string& body, uint64_t max_body) {
  size_t at = 0;
  while (at < data.size() && state_ == State::kReading) {
    if (step_ == Step::kData) {
      const size_t n = static_cast<size_t>(std::min<uint64_t>(size_, data.size() - at));
      body.append(data, at, n);
      at += n;
      size_ -= n;
      if (size_ == 0) step_ = Step::kDataCr;
    } else {
      const uint64_t room = max_body > body.size() ? max_body - body.size() : 0;
      read_framing(data[at++], room);
    }
  }
  return at;
}

// One byte of what stands between the payload. Every chunk but the last carries at least a byte of payload and at most
// 20 of framing, so max_body bounds the framing too.
void ChunkedReader::read_framing(char c, uint64_t room) {
  switch (step_) {
    case Step::kSize: {
      const int value = hex_value(c);
      if (value >= 0 && digits_ < 16) {
        size_ = size_ << 4 | static_cast<uint64_t>(value);
        ++digits_;
        return;
      }
      if (broken::kBareLfInChunks && c == '\n' && size_ > 0 && size_ <= room) return digits_ = 0, expect(true, Step::kData);
      return expect(c == '\r' && digits_ > 0, Step::kSizeLf);
    }
    case Step::kSizeLf:
      expect(c == '\n', size_ == 0 ? Step::kEndCr : Step::kData);
      if (state_ == State::kReading && size_ > room) state_ = State::kTooLarge;
      digits_ = 0;
      return;
    case Step::kDataCr:
      return expect(c == '\r', Step::kDataLf);
    case Step::kDataLf:
      return expect(c == '\n', Step::kSize);
    case Step::kEndCr:
      return expect(c == '\r', Step::kEndLf);
    case Step::kEndLf:
      state_ = c == '\n' ? State::kComplete : State::kMalformed;
      return;
    case Step::kData:
      return;
  }
}

void ChunkedReader::expect(bool right, Step next) {
  if (right) {
    step_ = next;
  } else {
    state_ = State::kMalformed;
  }
}

}  // namespace postern::http
