// The PROXY protocol's header. Input: a byte that says how the rest comes in pieces, then what a connection begins with.
//
// The outcome does not depend on the pieces; never more is taken than a header may have; what it names is an address, in one spelling, and
// of version 1 the one that stands in the line.
#include <arpa/inet.h>

#include <algorithm>
#include <string>

#include "core/net/proxy_header.h"
#include "tests/fuzz/fuzz.h"

namespace postern::fuzz {
namespace {

using net::ProxyHeader;

constexpr size_t kMost = 16 + ProxyHeader::kMaxBody;

struct Outcome {
  ProxyHeader header;
  size_t taken = 0;
};

Outcome read(std::string_view bytes, uint8_t seed, bool whole) {
  Outcome out;
  Cuts cuts(seed);
  while (out.taken < bytes.size() && out.header.state() == ProxyHeader::State::kIncomplete) {
    const std::string_view piece = bytes.substr(out.taken, whole ? bytes.size() : cuts.next());
    const size_t used = out.header.feed(piece);
    EXPECT(used <= piece.size());
    out.taken += used;
    if (out.header.state() == ProxyHeader::State::kIncomplete) EXPECT(used == piece.size());
  }
  return out;
}

void check_source(const std::string& source) {
  if (source.empty()) return;
  unsigned char v4[4], v6[16];
  if (::inet_pton(AF_INET, source.c_str(), v4) == 1) return;
  EXPECT_THAT(::inet_pton(AF_INET6, source.c_str(), v6) == 1, source);
  const std::string_view raw(reinterpret_cast<const char*>(v6), sizeof v6);
  EXPECT_THAT(!raw.starts_with(std::string_view("\0\0\0\0\0\0\0\0\0\0\xff\xff", 12)), source);  // an allow list would not know it
}

// Version 1: "PROXY TCP4 192.0.2.1 …": the third word.
void check_line(std::string_view line, const std::string& source) {
  EXPECT_THAT(line.ends_with("\r\n") && line.size() <= ProxyHeader::kMaxLine, line);
  if (source.empty()) {
    EXPECT_THAT(line.starts_with("PROXY UNKNOWN"), line);
    return;
  }
  const std::string_view address = line.substr(11, line.find(' ', 11) - 11);
  unsigned char named[16] = {}, told[16] = {};
  if (line.starts_with("PROXY TCP4 ")) {
    EXPECT_THAT(address == source, line);
  } else if (source.find(':') != std::string::npos) {
    EXPECT_THAT(::inet_pton(AF_INET6, std::string(address).c_str(), named) == 1, line);
    ::inet_pton(AF_INET6, source.c_str(), told);
    EXPECT_THAT(std::equal(named, named + sizeof named, told), line);
  }
}

}  // namespace
}  // namespace postern::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace postern::fuzz;
  using State = postern::net::ProxyHeader::State;
  Input input(data, size);
  const uint8_t seed = input.byte();
  const std::string_view bytes = input.rest();
  const Outcome whole = read(bytes, seed, true), cut = read(bytes, seed, false);
  EXPECT(whole.header.state() == cut.header.state());
  EXPECT(whole.header.source() == cut.header.source());
  EXPECT(std::string_view(whole.header.why()) == cut.header.why());
  EXPECT(whole.taken <= kMost && cut.taken <= kMost);
  if (whole.header.state() != State::kComplete) {
    EXPECT(whole.header.source().empty());
    return 0;
  }
  EXPECT(whole.taken == cut.taken);
  check_source(whole.header.source());
  if (bytes.starts_with("PROXY ")) check_line(bytes.substr(0, whole.taken), whole.header.source());
  return 0;
}
