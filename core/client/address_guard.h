// The attack: a URL from outside (a redirect, a media link) that leads to this machine, its network or a cloud's metadata service
// (SSRF), by an address, by a name that resolves to one, or by a name that resolves differently once it was checked (DNS rebinding).
// The defence: the address that a socket is about to be connected to, and is connected to, must be public. The name does not matter.
// Thread-safety: pure functions.
#pragma once

#include <sys/socket.h>

#include <string>

namespace postern::client {

// Whether an address is of the public internet. False for loopback, private, shared (CGNAT), link-local, unspecified, multicast,
// reserved and documentation networks, metadata services, and every IPv6 form that wraps an IPv4 address.
bool is_public(const sockaddr* address);

// The same for "192.0.2.1" or "2001:db8::1"; false for what is no address.
bool is_public(const std::string& address);

}  // namespace postern::client
