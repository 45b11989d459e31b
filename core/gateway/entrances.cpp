#include "core/gateway/entrances.h"

#include <ctime>
#include <utility>

#include "core/admission/address_list.h"
#include "core/admission/forwarded.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/config/faults.h"

namespace postern::gateway {
namespace {

using Faults = std::vector<config::Fault>;

void fault(Faults& faults, const config::TlsFile& file, const char* what, const Status& status) {
  faults.push_back({file.mark, std::string(what) + " " + config::quote(file.path) + " " + status.message()});
}

bool load_identity(const config::Tls::Identity& files, net::TlsIdentity& identity, Faults& faults) {
  auto chain = net::load_chain(files.certificate.path);
  if (!chain) fault(faults, files.certificate, "certificate", chain.status());
  auto key = net::load_key(files.key.path);
  if (!key) fault(faults, files.key, "key", key.status());
  if (!chain || !key) return false;
  if (!net::belong_together(*chain, key->get())) {
    fault(faults, files.key, "key", Status(Code::kInvalid, "does not belong to the certificate " + config::quote(files.certificate.path) +
                                                               ", whose first certificate is that of " + config::quote(chain->subject)));
    return false;
  }
  identity = {std::move(*chain), std::move(*key)};
  return true;
}

std::string day_of(int64_t seconds) {
  const time_t time = seconds;
  tm parts{};
  char text[32];
  ::gmtime_r(&time, &parts);
  return std::string(text, std::strftime(text, sizeof text, "%Y-%m-%d %H:%M UTC", &parts));
}

}  // namespace

std::shared_ptr<const net::TlsContext> Entrances::load(const config::Tls& tls, Faults& faults) {
  net::TlsSettings settings;
  settings.min_version = tls.only_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION;
  settings.client_certificate_required = tls.client_certificate_required;
  settings.tickets = tickets_;
  bool all_loaded = true;
  for (const config::Tls::Identity& files : tls.identities) {
    net::TlsIdentity identity;
    all_loaded = load_identity(files, identity, faults) && all_loaded;
    certificates_.push_back(
        {files.certificate.path, identity.chain.subject, identity.chain.names, identity.chain.not_before, identity.chain.not_after});
    settings.identities.push_back(std::move(identity));
  }
  if (!tls.client_ca.path.empty()) {
    auto authorities = net::load_authorities(tls.client_ca.path);
    if (!authorities) {
      fault(faults, tls.client_ca, "client_ca", authorities.status());
      return nullptr;
    }
    settings.client_ca = std::move(*authorities);
  }
  if (!all_loaded) return nullptr;
  auto context = net::TlsContext::make(settings);
  if (context) return *context;
  faults.push_back({tls.mark, "tls: " + context.status().message()});
  return nullptr;
}

Entrances Entrances::make(const config::Config& config, Faults& faults, const Entrances* before) {
  Entrances made;
  made.tickets_ = before != nullptr ? before->tickets_ : std::make_shared<net::TicketKeys>();
  auto list = admission::AddressList::parse(config.trusted_proxies);  // what is wrong there has been told
  auto trusted = std::make_shared<const admission::AddressList>(list ? std::move(*list) : admission::AddressList());
  for (const config::Listen& listen : config.listen) {
    net::StreamFactory factory;
    if (listen.tls) factory.tls = made.load(*listen.tls, faults);
    if (listen.proxy_protocol) {
      factory.is_trusted_proxy = [trusted](const std::string& peer) { return admission::is_trusted(peer, *trusted); };
    }
    made.listeners_.push_back(std::move(factory));
  }
  if (config.admin.tls) made.admin_.tls = made.load(*config.admin.tls, faults);
  return made;
}

std::string warning_of(const ShownCertificate& certificate, int64_t now_seconds) {
  constexpr int64_t kSoon = 21 * 24 * 3600;
  if (now_seconds >= certificate.not_after) return "has expired: " + day_of(certificate.not_after);
  if (now_seconds < certificate.not_before) return "is not valid before " + day_of(certificate.not_before);
  if (now_seconds + kSoon >= certificate.not_after) return "expires soon: " + day_of(certificate.not_after);
  return {};
}

void warn_of_certificates(const Entrances& entrances) {
  constexpr int64_t kMsPerSecond = 1000;
  for (const ShownCertificate& certificate : entrances.certificates()) {
    const std::string warning = warning_of(certificate, wall_ms() / kMsPerSecond);
    if (!warning.empty()) log::warn("a certificate " + warning, {{"file", certificate.file}, {"subject", certificate.subject}});
  }
}

std::vector<net::StreamFactory> factories_for(const std::vector<config::Listen>& started, const std::vector<config::Listen>& now,
                                              const Entrances& entrances, const std::vector<net::StreamFactory>& held) {
  std::vector<net::StreamFactory> factories = held;
  std::vector<bool> taken(now.size());
  for (size_t i = 0; i < started.size(); ++i) {
    for (size_t j = 0; j < now.size(); ++j) {
      if (taken[j] || now[j].address != started[i].address) continue;
      taken[j] = true;  // port 0 may stand there several times
      factories[i] = entrances.listeners()[j];
      break;
    }
  }
  return factories;
}

}  // namespace postern::gateway
