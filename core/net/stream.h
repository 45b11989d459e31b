// Stream: a connected, non-blocking byte stream with a peer. Plain TCP and unix sockets today; what reads and writes through
// it does not know which. Thread-safety: one thread (the loop's).
#pragma once

#include <Poco/Net/StreamSocket.h>

#include <cstddef>
#include <string>

namespace postern::net {

class Stream {
 public:
  enum class Outcome { kDone, kWouldBlock, kClosed };
  struct Transfer {
    Outcome outcome;
    size_t bytes;
  };

  virtual ~Stream() = default;
  virtual Transfer read(char* data, size_t size) = 0;
  virtual Transfer write(const char* data, size_t size) = 0;
  // Says that nothing more will be written; reading goes on.
  virtual void shutdown_write() = 0;
  virtual int fd() const = 0;
  // Numeric address of the peer without the port; "unix" for unix sockets.
  virtual const std::string& peer() const = 0;
};

class PlainStream final : public Stream {
 public:
  // Takes an accepted socket; makes it non-blocking and, for TCP, sends small answers at once.
  explicit PlainStream(Poco::Net::StreamSocket socket);

  Transfer read(char* data, size_t size) override;
  Transfer write(const char* data, size_t size) override;
  void shutdown_write() override;
  int fd() const override { return fd_; }
  const std::string& peer() const override { return peer_; }

 private:
  Poco::Net::StreamSocket socket_;
  int fd_;
  std::string peer_;
};

}  // namespace postern::net
