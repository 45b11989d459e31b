// ProxyStream: a connection that must begin with a PROXY header (proxy_header.h); behind that it is the stream that `next` makes, for the
// client that the header names; "unknown" where it names none. Without a header, or with a malformed one, it is closed.
// Thread-safety: one thread (the loop's).
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "core/net/proxy_header.h"
#include "core/net/stream.h"

namespace postern::net {

class ProxyStream final : public Stream {
 public:
  // `client`: its numeric address, or "unknown".
  using Next = std::function<std::unique_ptr<Stream>(Poco::Net::StreamSocket socket, std::string client)>;

  // Asked for each client that a header names: what it gives is kept as long as the connection; null closes it.
  using Count = std::function<std::shared_ptr<void>(const std::string& client)>;

  ProxyStream(Poco::Net::StreamSocket socket, Next next, Count count = nullptr, OnBadStart on_bad_start = nullptr);

  Transfer read(char* data, size_t size) override;
  Transfer write(const char* data, size_t size) override;
  void shutdown_write() override;
  int fd() const override { return fd_; }
  const std::string& peer() const override { return stream_ ? stream_->peer() : proxy_; }
  uint32_t read_events() const override { return stream_ ? stream_->read_events() : static_cast<uint32_t>(EPOLLIN); }
  uint32_t write_events() const override { return stream_ ? stream_->write_events() : static_cast<uint32_t>(EPOLLOUT); }
  bool has_buffered() const override { return stream_ && stream_->has_buffered(); }

 private:
  Outcome read_header();
  bool is_counted();

  Poco::Net::StreamSocket socket_;
  const int fd_;
  const std::string proxy_;
  Next next_;
  Count count_;
  OnBadStart on_bad_start_;
  std::shared_ptr<void> counted_;
  ProxyHeader header_;
  std::unique_ptr<Stream> stream_;  // once the header was read
};

}  // namespace postern::net
