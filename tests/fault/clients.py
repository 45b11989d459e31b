"""Many connections at once, in one thread: those that only wait, and those that dribble."""

import errno
import resource
import selectors
import socket
import time

from gateway import Failure


def raise_file_limit(needed):
    """Of this process and of those that it starts; whether there will be enough."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard == resource.RLIM_INFINITY or hard >= needed


def connect(port, source="127.0.0.1", seconds=20):
    return socket.create_connection(("127.0.0.1", port), timeout=seconds, source_address=(source, 0))


class Client:
    """One of a crowd. `bytes_every`: what it sends of `rest`, one byte each time; 0: all of `first`, and then nothing."""

    def __init__(self, crowd, kind, connection, first, rest=b"", bytes_every=0.0, reads=True):
        self.crowd, self.kind, self.connection = crowd, kind, connection
        self.begun = crowd.now
        self.rest, self.every, self.reads = rest, bytes_every, reads
        self.at = 0
        self.next = 0.0
        self.ended = None  # when it was seen to have ended, by the crowd's time
        self.answer = b""
        connection.setblocking(False)
        self._send(first)

    def _send(self, data):
        try:
            self.connection.send(data)
        except OSError as why:
            if why.errno not in (errno.EAGAIN, errno.EWOULDBLOCK):
                self.end()

    def turn(self, now):
        """Its next byte, if it is time."""
        if self.ended is None and self.every and now >= self.next:
            self.next = now + self.every
            self._send(self.rest[self.at % len(self.rest):][:1])
            self.at += 1

    def on_readable(self):
        if not self.reads:
            return
        try:
            piece = self.connection.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        self.answer += piece
        if not piece:
            self.end()

    def end(self):
        if self.ended is None:
            self.ended = self.crowd.now - self.begun
            self.connection.close()


class Crowd:
    """`watch()` lets them all live for a while. `now` is the time that was watched: a machine that stands still meanwhile does not count."""

    _STEP_S = 0.02

    def __init__(self):
        self.now = 0.0
        self.clients = []
        self._selector = selectors.DefaultSelector()

    def add(self, client):
        self.clients.append(client)
        if client.ended is None and client.reads:
            self._selector.register(client.connection, selectors.EVENT_READ, client)

    def alive(self):
        return [client for client in self.clients if client.ended is None]

    def watch(self, seconds, until=lambda: False):
        last = self.now + seconds
        while self.now < last and not until():
            begin = time.monotonic()
            for key, _ in self._selector.select(self._STEP_S):
                client = key.data
                client.on_readable()
                if client.ended is not None:
                    self._selector.unregister(key.fileobj)
            for client in self.alive():
                client.turn(self.now)
                if client.ended is not None and client.reads:
                    self._selector.unregister(client.connection)
            self.now += min(time.monotonic() - begin, 10 * self._STEP_S)

    def close(self):
        for client in self.clients:
            client.end()
        self._selector.close()


def idle_connections(port, count, sources=20):
    """Keep-alive connections that have asked once, from several addresses."""
    request = b"GET /health HTTP/1.1\r\nHost: postern\r\n\r\n"
    connections = []
    for begin in range(0, count, 200):
        batch = [connect(port, f"127.0.0.{2 + n % sources}") for n in range(begin, min(begin + 200, count))]
        for connection in batch:
            connection.sendall(request)
        for connection in batch:
            answer = connection.recv(4096)
            if not answer.startswith(b"HTTP/1.1 200 "):
                raise Failure(f"connection {len(connections)} is not served: {answer[:60]!r}")
            connections.append(connection)
    return connections
