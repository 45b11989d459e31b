// Certificates and keys of a test's own: authorities, and what they sign, as PEM files in a folder that goes with it.
// Thread-safety: one thread at a time.
#pragma once

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>

namespace postern::testing {

class TlsMaterial {
 public:
  using Key = std::shared_ptr<EVP_PKEY>;
  using Certificate = std::shared_ptr<X509>;
  struct Authority {
    Key key;
    Certificate certificate;
    std::string file;
  };
  struct Pair {
    std::string certificate, key;  // files
  };

  TlsMaterial() {
    std::string name = (std::filesystem::temp_directory_path() / "postern-tls-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
    folder_ = name;
  }
  ~TlsMaterial() {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  TlsMaterial(const TlsMaterial&) = delete;
  TlsMaterial& operator=(const TlsMaterial&) = delete;

  const std::string& folder() const { return folder_; }

  Authority authority(const std::string& name) {
    Authority made;
    made.key = new_key();
    made.certificate = sign(name, "", made.key, nullptr, nullptr, 24 * 3600);
    made.file = write(name + ".ca.pem", [&](FILE* out) { return PEM_write_X509(out, made.certificate.get()); });
    return made;
  }
  // `names` as OpenSSL has them: "DNS:a.test,DNS:*.b.test,IP:127.0.0.1". Valid since an hour ago.
  Pair pair(const Authority& by, const std::string& name, const std::string& names, long valid_seconds = 24 * 3600, bool rsa = false) {
    Key key = rsa ? Key(EVP_RSA_gen(2048), &EVP_PKEY_free) : new_key();
    Certificate certificate = sign(name, names, key, by.certificate.get(), by.key.get(), valid_seconds);
    Pair made;
    made.certificate = write(name + ".pem", [&](FILE* out) { return PEM_write_X509(out, certificate.get()); });
    made.key = write(name + ".key", [&](FILE* out) { return PEM_write_PrivateKey(out, key.get(), nullptr, nullptr, 0, nullptr, nullptr); });
    return made;
  }
  std::string encrypted_key(const std::string& name) {
    Key key = new_key();
    unsigned char password[] = "secret";
    return write(name, [&](FILE* out) { return PEM_write_PrivateKey(out, key.get(), EVP_aes_256_cbc(), password, 6, nullptr, nullptr); });
  }
  std::string text(const std::string& name, const std::string& content) {
    return write(name, [&](FILE* out) { return std::fwrite(content.data(), 1, content.size(), out) == content.size() ? 1 : 0; });
  }

 private:
  static Key new_key() { return {EVP_EC_gen("P-256"), &EVP_PKEY_free}; }

  Certificate sign(const std::string& name, const std::string& names, const Key& key, X509* issuer, EVP_PKEY* issuer_key, long seconds) {
    Certificate made(X509_new(), &X509_free);
    X509_set_version(made.get(), 2);
    ASN1_INTEGER_set(X509_get_serialNumber(made.get()), ++serial_);
    X509_gmtime_adj(X509_getm_notBefore(made.get()), -3600);
    X509_gmtime_adj(X509_getm_notAfter(made.get()), seconds);
    X509_set_pubkey(made.get(), key.get());
    const auto* common_name = reinterpret_cast<const unsigned char*>(name.c_str());
    X509_NAME_add_entry_by_txt(X509_get_subject_name(made.get()), "CN", MBSTRING_ASC, common_name, -1, -1, 0);
    X509* by = issuer == nullptr ? made.get() : issuer;
    X509_set_issuer_name(made.get(), X509_get_subject_name(by));
    extend(made.get(), by, NID_basic_constraints, issuer == nullptr ? "critical,CA:TRUE" : "critical,CA:FALSE");
    if (!names.empty()) extend(made.get(), by, NID_subject_alt_name, names);
    if (X509_sign(made.get(), issuer_key == nullptr ? key.get() : issuer_key, EVP_sha256()) <= 0) throw std::runtime_error("X509_sign");
    return made;
  }
  static void extend(X509* certificate, X509* issuer, int what, const std::string& value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, what, value.c_str());
    if (extension == nullptr || X509_add_ext(certificate, extension, -1) != 1) throw std::runtime_error("certificate extension");
    X509_EXTENSION_free(extension);
  }
  template <typename Write>
  std::string write(const std::string& name, Write put) {
    std::string file = folder_ + "/" + name;
    std::unique_ptr<FILE, int (*)(FILE*)> out(std::fopen(file.c_str(), "w"), &std::fclose);
    if (!out || put(out.get()) != 1) throw std::runtime_error("cannot write " + file);
    ::chmod(file.c_str(), 0600);
    return file;
  }

  std::string folder_;
  long serial_ = 0;
};

}  // namespace postern::testing
