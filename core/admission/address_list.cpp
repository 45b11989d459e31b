#include "core/admission/address_list.h"

#include <Poco/Exception.h>
#include <Poco/NumberParser.h>

namespace postern::admission {
namespace {

using Poco::Net::IPAddress;

IPAddress plain(const IPAddress& address) {
  if (!address.isIPv4Mapped()) return address;
  std::string text = address.toString();  // "::ffff:192.0.2.1"
  IPAddress mapped;
  return IPAddress::tryParse(text.substr(text.rfind(':') + 1), mapped) ? mapped : address;
}

}  // namespace

Result<AddressList> AddressList::parse(const std::vector<std::string>& networks) {
  AddressList list;
  for (const std::string& text : networks) {
    size_t slash = text.find('/');
    IPAddress address;
    if (!IPAddress::tryParse(text.substr(0, slash), address)) return Status(Code::kInvalid, "'" + text + "' is not a network");
    unsigned bits = address.family() == IPAddress::IPv4 ? 32 : 128, prefix = bits;
    if (slash != std::string::npos && (!Poco::NumberParser::tryParseUnsigned(text.substr(slash + 1), prefix) || prefix > bits)) {
      return Status(Code::kInvalid, "'" + text + "' is not a network");
    }
    IPAddress mask(prefix, address.family());
    list.networks_.push_back({address & mask, mask});
  }
  return list;
}

bool AddressList::contains(const std::string& text) const {
  IPAddress parsed;
  if (!IPAddress::tryParse(text, parsed)) return false;
  IPAddress address = plain(parsed);
  for (const Network& network : networks_) {
    if (network.address.family() == address.family() && (address & network.mask) == network.address) return true;
  }
  return false;
}

}  // namespace postern::admission
