#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <memory>
#include <stdexcept>

#include "tests/support/upstream_server.h"

namespace postern::testing {
namespace {

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;

void must(bool done, const char* what) {
  if (!done) throw std::runtime_error(std::string("test certificates: ") + what);
}

void extend(X509* certificate, X509* issuer, int what, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, what, value.c_str());
  must(extension != nullptr && X509_add_ext(certificate, extension, -1) == 1, "extension");
  X509_EXTENSION_free(extension);
}

Certificate make_certificate(const std::string& name, EVP_PKEY* key, X509* issuer, EVP_PKEY* issuer_key, const std::string& names) {
  Certificate certificate(X509_new(), &X509_free);
  X509_set_version(certificate.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), issuer == nullptr ? 1 : 2);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 24 * 3600);
  X509_set_pubkey(certificate.get(), key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate.get()), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  X509* by = issuer == nullptr ? certificate.get() : issuer;
  X509_set_issuer_name(certificate.get(), X509_get_subject_name(by));
  extend(certificate.get(), by, NID_basic_constraints, issuer == nullptr ? "critical,CA:TRUE" : "critical,CA:FALSE");
  if (!names.empty()) extend(certificate.get(), by, NID_subject_alt_name, names);
  must(X509_sign(certificate.get(), issuer_key, EVP_sha256()) > 0, "sign");
  return certificate;
}

template <typename Write>
std::string write_pem(const std::string& file, Write write) {
  std::unique_ptr<FILE, decltype(&std::fclose)> out(std::fopen(file.c_str(), "w"), &std::fclose);
  must(out != nullptr && write(out.get()) == 1, "write");
  return file;
}

}  // namespace

TestCertificates TestCertificates::make(const std::string& folder, const std::string& name) {
  Key ca_key(EVP_EC_gen("P-256"), &EVP_PKEY_free), key(EVP_EC_gen("P-256"), &EVP_PKEY_free);
  must(ca_key && key, "keys");
  Certificate ca = make_certificate("Postern test authority", ca_key.get(), nullptr, ca_key.get(), "");
  Certificate server = make_certificate(name, key.get(), ca.get(), ca_key.get(), "DNS:" + name + ",IP:127.0.0.1");
  TestCertificates files;
  files.ca_file = write_pem(folder + "/ca.pem", [&](FILE* f) { return PEM_write_X509(f, ca.get()); });
  files.certificate_file = write_pem(folder + "/server.pem", [&](FILE* f) { return PEM_write_X509(f, server.get()); });
  files.key_file = write_pem(folder + "/server.key", [&](FILE* f) {
    return PEM_write_PrivateKey(f, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  });
  return files;
}

}  // namespace postern::testing
