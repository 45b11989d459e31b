#include "core/net/stream_factory.h"

#include <utility>

#include "core/base/log.h"
#include "core/net/proxy_stream.h"
#include "core/net/tls_stream.h"

namespace postern::net {
namespace {

std::unique_ptr<Stream> make_inner(const std::shared_ptr<const TlsContext>& tls, Poco::Net::StreamSocket socket, std::string client,
                                   const OnBadStart& on_bad_start) {
  if (!tls) return std::make_unique<PlainStream>(std::move(socket), std::move(client));
  return std::make_unique<TlsStream>(std::move(socket), tls, std::move(client), on_bad_start);
}

void tell_untrusted(const std::string& peer) {
  thread_local log::Throttle throttle(5);
  uint64_t suppressed = 0;
  if (!throttle.pass(suppressed)) return;
  log::warn("a connection to a listener with proxy_protocol is closed: its peer is not among gateway.trusted_proxies",
            {{"remote", peer}, {"suppressed", suppressed}});
}

}  // namespace

std::unique_ptr<Stream> StreamFactory::make(Poco::Net::StreamSocket socket) const {
  if (!is_trusted_proxy) return make_inner(tls, std::move(socket), {}, on_bad_start);
  const std::string peer = peer_of(socket);
  if (peer == kGone) return nullptr;
  if (!is_trusted_proxy(peer)) {
    tell_untrusted(peer);
    if (on_bad_start) on_bad_start(BadStart::kUntrustedProxy);
    return nullptr;
  }
  auto next = [tls = tls, told = on_bad_start](Poco::Net::StreamSocket behind, std::string client) {
    return make_inner(tls, std::move(behind), std::move(client), told);
  };
  return std::make_unique<ProxyStream>(std::move(socket), std::move(next), count_client, on_bad_start);
}

}  // namespace postern::net
