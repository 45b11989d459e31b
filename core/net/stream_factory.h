// StreamFactory: how connections of a listener begin: plain or with TLS, and with a PROXY header before that or without. A reload gives a
// listener another one; connections go on with what they began with.
// Thread-safety: const; any thread.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "core/net/stream.h"
#include "core/net/tls_context.h"

namespace postern::net {

struct StreamFactory {
  std::shared_ptr<const TlsContext> tls;  // null: plain
  // Whether a PROXY header is believed from this peer. Set: each connection must begin with one; not set: none is expected.
  std::function<bool(const std::string& peer)> is_trusted_proxy;
  // Of the client that such a header names: see ProxyStream.
  std::function<std::shared_ptr<void>(const std::string& client)> count_client;

  // Told of each connection that fails before it begins; called on the loop's thread. Whatever it holds must outlive the streams.
  OnBadStart on_bad_start;

  // Bytes are HTTP's from the first one on.
  bool is_plain() const { return !tls && !is_trusted_proxy; }

  // Of an accepted socket that does not block. Null: the connection is refused, and closed.
  std::unique_ptr<Stream> make(Poco::Net::StreamSocket socket) const;
};

}  // namespace postern::net
