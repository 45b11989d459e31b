// AddressList: networks in CIDR notation. An IPv4 client on an IPv6 socket (::ffff:a.b.c.d) counts as its IPv4 address, so that a
// list cannot be passed by the other spelling.
// Thread-safety: const access from any thread after parse().
#pragma once

#include <Poco/Net/IPAddress.h>

#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"

namespace postern::admission {

class AddressList {
 public:
  static Result<AddressList> parse(const std::vector<std::string>& networks);

  bool empty() const { return networks_.empty(); }
  // False for what is no address ("unix").
  bool contains(const std::string& address) const;

 private:
  struct Network {
    Poco::Net::IPAddress address;
    Poco::Net::IPAddress mask;
  };
  std::vector<Network> networks_;
};

}  // namespace postern::admission
