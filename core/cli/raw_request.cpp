#include "core/cli/raw_request.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/http/request_reader.h"

namespace postern::cli {
namespace {

constexpr uint64_t kMaxBody = 1ull << 30;

// The line ends of the head alone: the body's bytes are what was signed.
bool mend_line_ends(std::string& bytes) {
  size_t end = std::min({bytes.find("\r\n\r\n"), bytes.find("\n\n"), bytes.find("\n\r\n")});
  if (end == std::string::npos) return false;
  std::string head;
  size_t body = bytes[end] == '\r' ? end + 4 : bytes[end + 1] == '\r' ? end + 3 : end + 2;
  bool mended = false;
  for (size_t i = 0; i < body; ++i) {
    if (bytes[i] == '\n' && (i == 0 || bytes[i - 1] != '\r')) {
      head += '\r';
      mended = true;
    }
    head += bytes[i];
  }
  if (mended) bytes.replace(0, body, head);
  return mended;
}

}  // namespace

Result<RawRequest> parse_raw_request(std::string bytes) {
  using State = http::RequestReader::State;
  RawRequest raw;
  if (mend_line_ends(bytes)) raw.notes.emplace_back("the head has bare line feeds; read as CRLF, as it was on the wire");
  http::RequestReader reader;
  std::string_view rest = bytes;
  while (reader.state() == State::kHead || reader.state() == State::kBody || reader.state() == State::kHeadComplete) {
    if (reader.state() == State::kHeadComplete) reader.begin_body(kMaxBody);
    size_t used = reader.state() == State::kComplete ? 0 : reader.feed(rest);
    rest.remove_prefix(used);
    if (used == 0 && reader.state() != State::kHeadComplete) break;
  }
  if (reader.state() == State::kRefused) {
    return Status(Code::kInvalid, fmt::format("the gateway refuses this request: {} {}", reader.refusal().status, reader.refusal().reason));
  }
  if (reader.state() == State::kHead) return Status(Code::kInvalid, "the head of the request does not end: an empty line is missing");
  if (reader.state() != State::kComplete) {
    return Status(Code::kInvalid,
                  "the body is shorter than its Content-Length (or its last chunk is missing): the gateway would wait for the rest");
  }
  raw.request = reader.take();
  if (!rest.empty()) {
    raw.notes.push_back(fmt::format("{} bytes follow the request; they are not part of it: its body has {} bytes by its head", rest.size(),
                                    raw.request.body().size()));
  }
  return raw;
}

}  // namespace postern::cli
