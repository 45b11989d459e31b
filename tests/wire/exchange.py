"""One case on one connection: its bytes in some cut, and what came back."""

import contextlib
import random
import re
import socket
import ssl
from dataclasses import dataclass

from corpus import END, LATE, WAIT

SECONDS = 30  # for whatever is waited for: generous, it is only ever reached by what is wrong
CUTS = ("whole", "bytes", "random")
_SINGLY = 1024  # of long pieces, so many bytes at both ends go one by one; what is between them, by 97
_STATUS_LINE = re.compile(rb"HTTP/1\.1 (\d{3}) [A-Za-z -]+")


class Broken(Exception):
    """What came back is no HTTP, or nothing came; says what."""


@dataclass
class Received:
    status: int
    headers: dict
    body: bytes


class Connection:
    """Plain or TLS. Once the peer has closed, sending is pointless and no error: what it said before is still to be read."""

    def __init__(self, address, context=None, source=None):
        self._socket = socket.create_connection(address, timeout=SECONDS, source_address=source)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._tcp = self._socket
        if context:
            self._socket = context.wrap_socket(self._socket, server_hostname="wire.test", suppress_ragged_eofs=False)
        self._data = b""
        self.reset = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.close()

    def send(self, data):
        try:
            self._socket.sendall(data)
            return True
        except TimeoutError as why:
            raise Broken("it does not read what is sent") from why
        except OSError:
            return False

    def end(self):
        """Of TCP, also under TLS: without a close_notify it is a truncation there too (RFC 8446 §6.1)."""
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self._tcp, socket.SHUT_WR) if self._tcp is self._socket else self._shut_tcp()

    def _shut_tcp(self):
        duplicate = socket.socket(fileno=socket.dup(self._socket.fileno()))
        duplicate.shutdown(socket.SHUT_WR)
        duplicate.close()

    def more(self):
        """Whether more came; False when the peer closed its side."""
        try:
            data = self._socket.recv(65536)
        except TimeoutError as why:
            raise Broken(f"nothing comes any more; it had {self._data[:200]!r}") from why
        except ssl.SSLEOFError as why:
            raise Broken("TLS without a close_notify: an answer could be cut short by anybody") from why
        except ssl.SSLError as why:
            raise Broken(f"TLS: {why}") from why
        except OSError:
            self.reset = True
            return False
        self._data += data
        return bool(data)

    def more_within(self, seconds):
        """Whether something came in this time; None when the peer closed."""
        self._socket.settimeout(seconds)
        try:
            return True if self._socket.recv(65536) else None
        except TimeoutError:
            return False
        except OSError:
            return None
        finally:
            self._socket.settimeout(SECONDS)

    def answer(self, head=False):
        """The next one; None when the peer closed instead. `head`: to HEAD, without its body."""
        while b"\r\n\r\n" not in self._data:
            if not self.more():
                if self._data:
                    raise Broken(f"a part of an answer: {self._data[:200]!r}")
                return None
        text, _, rest = self._data.partition(b"\r\n\r\n")
        status_line, *lines = text.split(b"\r\n")
        match = _STATUS_LINE.fullmatch(status_line)
        if not match:
            raise Broken(f"this is no status line: {status_line[:200]!r}")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
        status = int(match[1])
        size = 0 if head or status < 200 or status in (204, 304) else int(headers.get(b"content-length", 0))
        while len(rest) < size:
            if not self.more():
                raise Broken(f"a part of an answer's body: {self._data[:200]!r}")
            rest = self._data.partition(b"\r\n\r\n")[2]
        self._data = rest[size:]
        return Received(status, headers, rest[:size])


def pieces_of(data, cut, seed):
    if cut == "whole" or len(data) < 2:
        return [data] if data else []
    if cut == "random":
        points = sorted(random.Random(f"{seed} {len(data)}").sample(range(1, len(data)), min(len(data) - 1, 7)))
    elif len(data) <= 2 * _SINGLY:
        points = range(1, len(data))
    else:
        points = [*range(1, _SINGLY), *range(_SINGLY, len(data) - _SINGLY, 97), *range(len(data) - _SINGLY, len(data))]
    return [data[begin:end] for begin, end in zip([0, *points], [*points, len(data)])]


def follow_up(nonce):
    """A request whose answer can be no other one's."""
    return b"POST /probe/reply/echo HTTP/1.1\r\nHost: wire.test\r\nContent-Length: %d\r\n\r\n%s" % (len(nonce), nonce)


class Exchange:
    """Runs a case; then `fault` is what is not as it should be, or empty, and `statuses` what was answered."""

    def __init__(self, case, cut, seed, identity):
        self.case, self.cut, self.seed, self.identity = case, cut, seed, identity
        self.statuses = []
        self.fault = ""

    def run(self, address, context=None):
        try:
            with Connection(address, context) as connection:
                self._send(connection)
                self._receive(connection)
        except Broken as why:
            self.fault = f"{why} (after {self.statuses})"
        except OSError as why:
            self.fault = f"{type(why).__name__}: {why} (after {self.statuses})"
        return self

    def _send(self, connection):
        for piece in self.case.pieces(self.identity):
            if piece == WAIT:
                self._take(connection.answer())
            elif piece == END:
                connection.end()
            elif piece != LATE:
                for part in pieces_of(piece, self.cut, f"{self.seed} {self.case.name}"):
                    if not connection.send(part):
                        break

    def _receive(self, connection):
        nonce = f"this-is-the-one-behind {self.identity(0)}".encode()
        if self.case.ending == "open" and not self.fault:
            connection.send(follow_up(nonce))
        while True:
            expected = self._expected()
            received = connection.answer(head=expected is not None and expected.head)
            if received is None:
                break
            if received.body == nonce:
                return self._judge("open")
            self._take(received)
        self._judge("reset" if connection.reset else "close")

    def _expected(self):
        at = len(self.statuses)
        return self.case.answers[at] if at < len(self.case.answers) else None

    def _take(self, received):
        if received is None:
            return
        expected = self._expected()
        if received.status == 100 and (expected is None or 100 not in expected.statuses) and self._may_continue():
            return
        self.statuses.append(received.status)
        if expected is None:
            return
        if expected.body is not None and received.body != expected.body:
            self.fault = self.fault or f"answer {len(self.statuses)} has the body {received.body[:200]!r} instead of {expected.body[:200]!r}"
        last = len(self.statuses) == len(self.case.answers)
        closes = received.headers.get(b"connection", b"") == b"close"
        # RFC 9112 §9.6: who closes says so, or the sender takes the end of it for a failure, and a proxy sends more requests into it.
        if closes != (last and self.case.ending == "close") and not self._ended_by_sender():
            self.fault = self.fault or f"answer {len(self.statuses)} says {'close' if closes else 'nothing of closing'}"

    def _may_continue(self):
        return any(isinstance(piece, bytes) and b"100-continue" in piece.lower() for piece in self.case.template)

    def _ended_by_sender(self):
        return END in self.case.template or self.case.late

    def _judge(self, ending):
        expected = [answer.statuses for answer in self.case.answers]
        right = len(expected) == len(self.statuses) and all(status in them for status, them in zip(self.statuses, expected))
        if not right or ending != self.case.ending:
            was = " ".join([*map(str, self.statuses), ending])
            self.fault = f"expected `{self.case.expectation()}`, was `{was}`"
