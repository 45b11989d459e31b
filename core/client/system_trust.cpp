#include "core/client/system_trust.h"

#include <curl/curl.h>
#include <openssl/x509.h>
#include <unistd.h>

namespace postern::client {
namespace {

bool readable(const char* path) { return path != nullptr && ::access(path, R_OK) == 0; }

}  // namespace

SystemTrust choose_trust(const char* built_in, const char* openssl_file, const char* openssl_folder) {
  SystemTrust trust;
  if (readable(built_in)) return trust;
  bool file = readable(openssl_file);
  bool folder = readable(openssl_folder);
  if (!file && !folder) return trust;  // libcurl then says which file it misses
  trust.as_built = false;
  // A file is read once and kept by libcurl; what is only in the folder is found by its name.
  if (file) trust.file = openssl_file;
  if (folder) trust.folder = openssl_folder;
  return trust;
}

const SystemTrust& system_trust() {
  static const SystemTrust trust =
      choose_trust(curl_version_info(CURLVERSION_NOW)->cainfo, X509_get_default_cert_file(), X509_get_default_cert_dir());
  return trust;
}

}  // namespace postern::client
