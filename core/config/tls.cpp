// tls: of a listener.
//
//   tls: {certificate: FILE, key: FILE}
//   tls: {certificates: [{certificate: FILE, key: FILE}, …], client_ca: FILE, client_certificate: optional, min_version: "1.3"}

#include "core/config/sections.h"

namespace postern::config {

namespace {

bool read_file_name(Section& section, std::string_view key, TlsFile& file) {
  if (!section.text(key, file.path)) return false;
  file.mark = section.find(key)->value->mark;
  return true;
}

// A key that is missing is told; so both files are there, or a fault is.
void add_identity(Section& section, Tls& tls) {
  Tls::Identity identity;
  section.require("certificate");
  section.require("key");
  const bool certificate = read_file_name(section, "certificate", identity.certificate);
  const bool key = read_file_name(section, "key", identity.key);
  if (certificate && key) tls.identities.push_back(std::move(identity));
}

void read_identities(Section& section, Tls& tls) {
  const Member* list = section.find("certificates");
  if (!list) return add_identity(section, tls);
  for (const char* key : {"certificate", "key"})
    if (const Member* own = section.find(key))
      section.fault(own->mark, key, "stands in each item of `certificates` where there is that list");
  if (list->value->kind == Kind::kNull || (list->value->kind == Kind::kSequence && list->value->items.empty()))
    section.fault(list->mark, "certificates", "needs an item at least");
  section.list("certificates", [&](const Node& node, const std::string& what) {
    Section item(section.context(), node, node.mark, what);
    add_identity(item, tls);
  });
}

void read_clients(Section& section, Tls& tls) {
  read_file_name(section, "client_ca", tls.client_ca);
  std::string wanted;
  if (!section.choice("client_certificate", wanted, {"required", "optional"})) return;
  tls.client_certificate_required = wanted == "required";
  if (!section.find("client_ca"))
    section.fault(section.find("client_certificate")->mark, "client_certificate",
                  "needs client_ca, the authorities that sign clients' certificates");
}

}  // namespace

std::optional<Tls> read_tls(Section& listener) {
  Tls tls;
  listener.section("tls", [&](Section& section) {
    tls.mark = section.place();
    read_identities(section, tls);
    read_clients(section, tls);
    std::string version;
    if (section.choice("min_version", version, {"1.2", "1.3"})) tls.only_1_3 = version == "1.3";
  });
  if (tls.identities.empty()) return std::nullopt;
  return tls;
}

}  // namespace postern::config
