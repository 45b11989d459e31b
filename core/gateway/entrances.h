// Entrances: how connections begin on the listeners of one configuration: their certificates loaded and checked, and who may send a PROXY
// header. A reload makes new ones; session tickets stay good across it.
// Thread-safety: make() on any thread; const afterwards.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/config/config.h"
#include "core/net/stream_factory.h"
#include "core/net/tls_tickets.h"

namespace postern::gateway {

// A certificate that a listener shows, for people.
struct ShownCertificate {
  std::string file, subject;
  std::vector<std::string> names;
  int64_t not_before = 0, not_after = 0;  // Unix seconds
};

class Entrances {
 public:
  // What is wrong with the files is added to `faults`, with its place in the file; when there are any, the entrances must not be used.
  // `before`: those that are at work.
  static Entrances make(const config::Config& config, std::vector<config::Fault>& faults, const Entrances* before = nullptr);

  // In the order of config.listen.
  const std::vector<net::StreamFactory>& listeners() const { return listeners_; }
  const net::StreamFactory& admin() const { return admin_; }
  const std::vector<ShownCertificate>& certificates() const { return certificates_; }

 private:
  std::shared_ptr<const net::TlsContext> load(const config::Tls& tls, std::vector<config::Fault>& faults);

  std::shared_ptr<net::TicketKeys> tickets_;
  std::vector<net::StreamFactory> listeners_;
  net::StreamFactory admin_;
  std::vector<ShownCertificate> certificates_;
};

// What an operator should know of a certificate now: that it has expired, is not valid yet, or expires within three weeks. Empty: nothing.
std::string warning_of(const ShownCertificate& certificate, int64_t now_seconds);
void warn_of_certificates(const Entrances& entrances);  // in the log

// The factories of `now` for the listeners of `started`, which stay open: each by its address. A listener that `now` has no more goes on
// with what it had (`held`).
std::vector<net::StreamFactory> factories_for(const std::vector<config::Listen>& started, const std::vector<config::Listen>& now,
                                              const Entrances& entrances, const std::vector<net::StreamFactory>& held);

}  // namespace postern::gateway
