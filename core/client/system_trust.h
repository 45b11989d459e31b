// Whom the system trusts: the certificate authorities that an upstream without a `ca_file` of its own is checked against.
//
// libcurl was told at its build where they are, which is right on the distribution that built it. The rpm carries Debian's libcurl to
// systems that keep them elsewhere; there OpenSSL knows, which is the system's own.
// Thread-safety: any thread.
#pragma once

#include <string>

namespace postern::client {

struct SystemTrust {
  bool as_built = true;  // libcurl's own places; the others are empty
  std::string file;      // PEM with all of them; empty: there is none
  std::string folder;    // hashed names
};

// `built_in`: the file that libcurl was built with; null or empty when it has none.
SystemTrust choose_trust(const char* built_in, const char* openssl_file, const char* openssl_folder);

// Of this system; looked at once.
const SystemTrust& system_trust();

}  // namespace postern::client
