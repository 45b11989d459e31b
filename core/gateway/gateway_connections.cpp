// Which connections are taken, and what the others are told.
#include <sys/resource.h>

#include <algorithm>

#include "core/admission/forwarded.h"
#include "core/gateway/gateway.h"

namespace postern::gateway {
namespace {

constexpr rlim_t kReservedFiles = 300;  // for the store, plugins, the admin side, calls to the outside
constexpr std::string_view kBusy =
    "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

// Its request has often come already, and a close with unread bytes would be a reset, which may eat the answer. Nothing is waited for: to
// refuse must not cost what it costs to serve.
void turn_away(net::Stream& stream, std::vector<char>& scratch) {
  stream.read(scratch.data(), scratch.size());
  stream.write(kBusy.data(), kBusy.size());
  stream.shutdown_write();
}

}  // namespace

// Each connection is a file descriptor, and the soft limit is often 1024. The admin side must be reachable when the public one is full.
void Gateway::limit_connections(const config::Config& config) {
  max_per_client_ = config.max_connections_per_client;
  uint32_t wanted = config.max_connections;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
    rlim_t room = limit.rlim_cur > 2 * kReservedFiles ? limit.rlim_cur - kReservedFiles : limit.rlim_cur / 2;
    if (room < wanted) {
      wanted = static_cast<uint32_t>(room);
      log::warn("fewer connections than gateway.max_connections: raise the limit of open files", {{"connections", wanted}});
    }
  }
  max_connections_ = wanted;
}

bool Gateway::room_for_connection() const {
  size_t open = 0;
  for (const auto& loop : loops_) open += loop->front->connections().size() + loop->front->connections().newcomers();
  return open < max_connections_;
}

// A trusted proxy has the connections of many clients, and a unix socket's peer no address by which to count it. Where a PROXY header
// tells of the client, it is counted as soon as that was read.
bool Gateway::counts_alone(const Loop& loop, const std::string& peer) const {
  return peer != "unix" && !admission::is_trusted(peer, loop.front->trusted_proxies());
}

// Nothing when the client has as many connections as one may have.
std::optional<http::ConnectionCounts::Slot> Gateway::count_client(const Loop& loop, const std::string& client) {
  uint32_t most = max_per_client_;
  if (most == 0 || !counts_alone(loop, client)) return http::ConnectionCounts::Slot();
  return connection_counts_.take(net::client_key(client), most);
}

// Before a handshake, or a PROXY header, nobody could read an answer.
void Gateway::accept(Loop& loop, std::unique_ptr<net::Stream> stream, bool is_plain) {
  auto refuse = [&](ingest::Refusal reason) {
    loop.front->turned_away(reason, stream->peer());
    if (is_plain) turn_away(*stream, loop.loop.scratch());
  };
  if (!room_for_connection()) return refuse(ingest::Refusal::kConnections);
  if (!is_plain && counts_alone(loop, stream->peer()) && !loop.front->may_shake_hands(stream->peer())) {
    return refuse(ingest::Refusal::kClientRate);
  }
  auto slot = count_client(loop, stream->peer());
  if (!slot) return refuse(ingest::Refusal::kClientConnections);
  loop.front->connections().open(loop.loop, std::move(stream), *loop.front, loop.front->timeouts(), budget_, std::move(*slot));
}

std::unique_ptr<net::Acceptor> Gateway::make_acceptor(Loop& loop, size_t listener) {
  // A reload may change the factory.
  auto factory = [&loop, listener]() -> const net::StreamFactory& { return loop.factories[listener]; };
  auto make_stream = [factory](Poco::Net::StreamSocket socket) { return factory().make(std::move(socket)); };
  auto take = [this, &loop, factory](std::unique_ptr<net::Stream> stream) { accept(loop, std::move(stream), factory().is_plain()); };
  auto acceptor = std::make_unique<net::Acceptor>(loop.loop, *listeners_[listener], std::move(take), std::move(make_stream));
  acceptor->when_out_of_files([&loop, factory] {
    loop.front->turned_away(ingest::Refusal::kFiles, "unknown");
    return factory().is_plain() ? kBusy : std::string_view();
  });
  return acceptor;
}

}  // namespace postern::gateway
