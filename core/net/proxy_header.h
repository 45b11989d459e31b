// ProxyHeader: the header by which a proxy that passes bytes on says whose they are: the PROXY protocol, versions 1 (a line) and 2
// (binary), as HAProxy's doc/proxy-protocol.txt has them. It must be the first thing on a connection, and whoever may send it is asked
// before. What is not exactly such a header is malformed with the first byte that shows it; nothing behind it is taken.
// Thread-safety: one thread at a time.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace postern::net {

class ProxyHeader {
 public:
  enum class State { kIncomplete, kComplete, kMalformed };

  // Takes bytes up to the end of the header; returns how many it took.
  size_t feed(std::string_view bytes);
  State state() const { return state_; }
  const char* why() const { return why_; }

  // The client's numeric address, ::ffff:192.0.2.1 as 192.0.2.1. Empty where the proxy speaks for itself (LOCAL) or does not know
  // (UNKNOWN, unix).
  const std::string& source() const { return source_; }

  static constexpr size_t kMaxLine = 107;    // of version 1, with its CRLF
  static constexpr size_t kMaxBody = 2048;   // of version 2, behind the first 16 bytes: addresses, and TLVs that are passed over

 private:
  void refuse(const char* why);
  void look_on();
  void read_line();
  void look_at_fixed_part();
  void read_body();
  std::string_view fixed_part() const { return std::string_view(bytes_).substr(0, 16); }

  std::string bytes_;
  size_t wanted_ = 0;  // of version 2, once it is known: the whole header
  State state_ = State::kIncomplete;
  const char* why_ = "";
  std::string source_;
};

}  // namespace postern::net
