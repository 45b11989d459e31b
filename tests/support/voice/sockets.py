"""Ends of connections, as both stand-ins make and tell them."""

import socket
import struct


def reset(transport):
    """Ends the TCP connection with a reset, as a peer that died does; what is still queued is lost."""
    if (sock := transport.get_extra_info("socket")) is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def how_closed(connection):
    """(who began the closing handshake: "peer", "self" or "nobody"; the code and the reason of that side)."""
    sent, got = connection.close_sent, connection.close_rcvd
    if got and connection.close_rcvd_then_sent:
        return "peer", got.code, got.reason
    if sent:
        return "self", sent.code, sent.reason
    return "nobody", 1006, ""
