#include "core/net/tls_files.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include <ctime>
#include <utility>

#include "core/base/trusted_path.h"
#include "core/config/file.h"

namespace postern::net {
namespace {

using BioPtr = std::unique_ptr<BIO, Freed<BIO_free_all>>;
using NamesPtr = std::unique_ptr<GENERAL_NAMES, Freed<GENERAL_NAMES_free>>;

constexpr size_t kMaxBytes = 1 << 20;
constexpr size_t kMaxChain = 16;

Status invalid(std::string message) { return {Code::kInvalid, std::move(message)}; }

// The content, of a file that nobody else can change.
Result<std::string> read_pem(const std::string& file) {
  auto text = config::read_file(file, kMaxBytes);
  if (!text) return text;
  if (Status trusted = check_trusted(file); !trusted) return Status(trusted.code(), "cannot be trusted: " + trusted.message());
  return text;
}

BioPtr reader_of(const std::string& text) { return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))); }

// All certificates of a text; something between them that is none (a key, comments) is passed over, as everybody does.
Result<std::vector<X509Ptr>> parse_certificates(const std::string& text) {
  std::vector<X509Ptr> list;
  BioPtr in = reader_of(text);
  while (X509* one = PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr)) list.emplace_back(one);
  unsigned long error = ERR_peek_last_error();
  bool at_end = ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
  std::string why = take_tls_error();
  if (!at_end) return invalid("is damaged: " + why);
  if (list.empty()) return invalid("has no certificate in PEM (-----BEGIN CERTIFICATE-----)");
  return list;
}

std::string lower(std::string text) {
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return text;
}

std::vector<std::string> dns_names(const X509* certificate) {
  std::vector<std::string> names;
  NamesPtr all(static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; all && i < sk_GENERAL_NAME_num(all.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(all.get(), i);
    if (name->type != GEN_DNS) continue;
    const ASN1_IA5STRING* text = name->d.dNSName;
    std::string dns(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)), static_cast<size_t>(ASN1_STRING_length(text)));
    if (dns.find('\0') == std::string::npos) names.push_back(lower(std::move(dns)));
  }
  return names;
}

std::string subject_of(const X509* certificate) {
  BioPtr out(BIO_new(BIO_s_mem()));
  X509_NAME_print_ex(out.get(), X509_get_subject_name(certificate), 0, XN_FLAG_ONELINE & ~ASN1_STRFLGS_ESC_MSB);
  char* text = nullptr;
  long size = BIO_get_mem_data(out.get(), &text);
  return {text, static_cast<size_t>(size)};
}

int64_t seconds_of(const ASN1_TIME* time) {
  tm parts{};
  return ASN1_TIME_to_tm(time, &parts) == 1 ? static_cast<int64_t>(::timegm(&parts)) : 0;
}

}  // namespace

std::string take_tls_error() {
  unsigned long error = ERR_peek_last_error();
  const char* reason = ERR_reason_error_string(error);
  ERR_clear_error();
  return reason != nullptr ? reason : error == 0 ? "no reason is known" : "error " + std::to_string(error);
}

Result<CertificateChain> load_chain(const std::string& file) {
  auto text = read_pem(file);
  if (!text) return text.status();
  auto list = parse_certificates(*text);
  if (!list) return list.status();
  if (list->size() > kMaxChain) return invalid("has " + std::to_string(list->size()) + " certificates; a chain has at most 16");
  CertificateChain chain;
  chain.certificates = std::move(*list);
  const X509* own = chain.certificates.front().get();
  chain.names = dns_names(own);
  chain.subject = subject_of(own);
  chain.not_before = seconds_of(X509_get0_notBefore(own));
  chain.not_after = seconds_of(X509_get0_notAfter(own));
  return chain;
}

Result<KeyPtr> load_key(const std::string& file) {
  auto text = read_pem(file);
  if (!text) return text.status();
  struct stat info {};
  if (::stat(file.c_str(), &info) == 0 && (info.st_mode & S_IROTH) != 0) {
    return Status(Code::kDenied, "can be read by everybody: chmod o-r " + file);
  }
  BioPtr in = reader_of(*text);
  bool asked = false;
  auto no_password = [](char*, int, int, void* was_asked) {
    *static_cast<bool*>(was_asked) = true;
    return -1;
  };
  KeyPtr key(PEM_read_bio_PrivateKey(in.get(), nullptr, no_password, &asked));
  OPENSSL_cleanse(text->data(), text->size());
  std::string why = take_tls_error();
  if (asked) return invalid("is encrypted, and nobody is there to be asked for its password: openssl pkey -in FILE -out FILE.plain");
  if (!key) return invalid("has no private key in PEM: " + why);
  return key;
}

bool belong_together(const CertificateChain& chain, EVP_PKEY* key) {
  bool together = X509_check_private_key(chain.certificates.front().get(), key) == 1;
  ERR_clear_error();
  return together;
}

Result<Authorities> load_authorities(const std::string& file) {
  auto text = read_pem(file);
  if (!text) return text.status();
  auto list = parse_certificates(*text);
  if (!list) return list.status();
  Authorities authorities{std::move(*list), std::string(SHA256_DIGEST_LENGTH, '\0')};
  SHA256(reinterpret_cast<const unsigned char*>(text->data()), text->size(), reinterpret_cast<unsigned char*>(authorities.digest.data()));
  return authorities;
}

}  // namespace postern::net
