#include "core/admission/address_list.h"

#include <Poco/NumberParser.h>
#include <arpa/inet.h>

#include <optional>

namespace postern::admission {
namespace {

using Poco::Net::IPAddress;

// Not Poco's tryParse: it takes "::" for a failure, and keeps the interface of a link-local address ("fe80::1%eth0"), with which its
// operator& throws.
std::optional<IPAddress> parse_address(const std::string& text) {
  in_addr v4;
  in6_addr v6;
  if (::inet_pton(AF_INET, text.c_str(), &v4) == 1) return IPAddress(&v4, sizeof v4);
  if (::inet_pton(AF_INET6, text.c_str(), &v6) == 1) return IPAddress(&v6, sizeof v6);
  return std::nullopt;
}

IPAddress plain(const IPAddress& address) {
  // Poco calls every IPv4 address mapped.
  if (address.family() == IPAddress::IPv4 || !address.isIPv4Mapped()) return address;
  // Not by way of its text: Poco writes ::ffff:0.1.2.3 as "::ffff:".
  return IPAddress(static_cast<const unsigned char*>(address.addr()) + 12, sizeof(in_addr));
}

}  // namespace

Result<AddressList> AddressList::parse(const std::vector<std::string>& networks) {
  AddressList list;
  for (const std::string& text : networks) {
    size_t slash = text.find('/');
    auto address = parse_address(text.substr(0, slash));
    if (!address) return Status(Code::kInvalid, "'" + text + "' is not a network");
    unsigned bits = address->family() == IPAddress::IPv4 ? 32 : 128, prefix = bits;
    if (slash != std::string::npos && (!Poco::NumberParser::tryParseUnsigned(text.substr(slash + 1), prefix) || prefix > bits)) {
      return Status(Code::kInvalid, "'" + text + "' is not a network");
    }
    // Addresses are compared as what they stand for, so a network of mapped ones is one of IPv4.
    constexpr unsigned kMappedBits = 96;
    if (address->family() == IPAddress::IPv6 && address->isIPv4Mapped() && prefix >= kMappedBits) {
      address = plain(*address);
      prefix -= kMappedBits;
    }
    IPAddress mask(prefix, address->family());
    list.networks_.push_back({*address & mask, mask});
  }
  return list;
}

bool AddressList::contains(const std::string& text) const {
  auto parsed = parse_address(text.substr(0, text.find('%')));  // without the interface of a link-local address
  if (!parsed) return false;
  IPAddress address = plain(*parsed);
  for (const Network& network : networks_) {
    if (network.address.family() == address.family() && (address & network.mask) == network.address) return true;
  }
  return false;
}

}  // namespace postern::admission
