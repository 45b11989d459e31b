#include "core/http/framing.h"

#include <algorithm>
#include <string_view>

#include "core/base/broken.h"
#include "core/http/characters.h"
#include "core/http/target.h"

namespace postern::http {
namespace {

constexpr size_t kMaxLengthDigits = 18;  // always fits in 64 bits

// A header that may be there once: its value and how often it was there.
struct Single {
  std::string_view value;
  size_t count = 0;

  void see(std::string_view v) {
    value = v;
    ++count;
  }
};

struct Seen {
  Single host, content_length, transfer_encoding, expect;
  bool close = false;
  bool keep_alive = false;

  // `list`: the value of a Connection header, tokens with commas between.
  void see_connection(std::string_view list) {
    while (!list.empty()) {
      const std::string_view item = list.substr(0, list.find(','));
      list.remove_prefix(std::min(list.size(), item.size() + 1));
      const std::string_view option = trim_white_space(item);
      close = close || equals_ignoring_case(option, "close");
      keep_alive = keep_alive || equals_ignoring_case(option, "keep-alive");
    }
  }

  void see(std::string_view name, std::string_view value) {
    switch (name.size()) {
      case 4:
        if (equals_ignoring_case(name, "Host")) host.see(value);
        break;
      case 6:
        if (equals_ignoring_case(name, "Expect")) expect.see(value);
        break;
      case 10:
        if (equals_ignoring_case(name, "Connection")) see_connection(value);
        break;
      case 14:
        if (equals_ignoring_case(name, "Content-Length")) content_length.see(value);
        break;
      case 17:
        if (equals_ignoring_case(name, "Transfer-Encoding")) transfer_encoding.see(value);
        break;
      default:
        break;
    }
  }
};

bool refuse(Framing& out, int status, const char* reason) {
  out.status = status;
  out.reason = reason;
  return false;
}

// Attack: two Hosts, or one that reads as two, and the proxy before us routes by the other one.
bool check_host(const Seen& seen, bool http_1_0, Framing& out) {
  if (seen.host.count > 1) return refuse(out, 400, "more than one Host");
  if (seen.host.count == 0) return http_1_0 || refuse(out, 400, "no Host");
  return is_authority(seen.host.value) || refuse(out, 400, "malformed Host");
}

// Attack: request smuggling. Whoever can make us and a proxy see different ends of a body puts a request of his own
// between, so no two headers may speak of the length, and none in a way that another program could read differently.
bool check_length(const Seen& seen, const Request& request, Framing& out) {
  const Single& length = seen.content_length;
  const Single& coding = seen.transfer_encoding;
  if (length.count + coding.count > 1 && !broken::kTrustLength) {
    return refuse(out, 400, "more than one Content-Length or Transfer-Encoding");
  }
  if (coding.count == 1 && !(broken::kTrustLength && length.count > 0)) {
    if (broken::kSkipChunks) return true;
    if (request.http_1_0()) return refuse(out, 400, "Transfer-Encoding in HTTP/1.0");
    out.chunked = equals_ignoring_case(coding.value, "chunked");
    return out.chunked || refuse(out, 501, "transfer coding not supported");
  }
  if (length.count == 1) {
    const std::string_view digits = length.value;
    if (digits.empty() || !all_chars(digits, kDigitChar)) return refuse(out, 400, "malformed Content-Length");
    if (digits.size() > kMaxLengthDigits) return refuse(out, 413, "body too large");
    for (const char c : digits) out.content_length = out.content_length * 10 + static_cast<uint64_t>(c - '0');
    return true;
  }
  const std::string_view method = request.method();
  const bool needs_length = method == "POST" || method == "PUT" || method == "PATCH";
  return !needs_length || refuse(out, 411, "no Content-Length");
}

bool check_expect(const Seen& seen, bool http_1_0, Framing& out) {
  if (seen.expect.count == 0) return true;
  if (seen.expect.count > 1 || !equals_ignoring_case(seen.expect.value, "100-continue")) {
    return refuse(out, 417, "expectation not supported");
  }
  // An HTTP/1.0 client does not know the interim answer (RFC 9110 §10.1.1).
  out.expects_continue = !http_1_0 && (out.chunked || out.content_length > 0);
  return true;
}

}  // namespace

Framing read_framing(const Request& request) {
  Seen seen;
  for (size_t i = 0; i < request.header_count(); ++i) seen.see(request.header_name(i), request.header_value(i));
  Framing out;
  out.keep_alive = !seen.close && (!request.http_1_0() || seen.keep_alive);
  if (check_host(seen, request.http_1_0(), out) && check_length(seen, request, out)) {
    check_expect(seen, request.http_1_0(), out);
  }
  return out;
}

}  // namespace postern::http
