"""Between a client and its mail server: passes everything on, and notes of each mail whether its final dot came, and which reply went back.

It is the honest witness of mails that may be stored twice: neither the client nor the server is asked. It speaks STARTTLS with both, so
that it can read. One thread for each connection, since a dialogue is in lock-step; but a server that goes is noticed while the client is
silent too.
"""
import re
import select
import socket
import ssl
import threading
import time
from dataclasses import dataclass

_TERMINATOR = b"\r\n.\r\n"
_MESSAGE_ID = re.compile(rb"^message-id:\s*(<[^>\r\n]+>)", re.IGNORECASE | re.MULTILINE)
_HEAD = 16384  # bytes of a mail within which its Message-ID stands


@dataclass
class Mail:
    """One whole mail that a client has sent, at times of time.monotonic(). code 0: no reply went back."""

    message_id: str
    connection: int      # on which it came, counted from 1
    connected_at: float
    dot_at: float
    code: int = 0
    replied_at: float = 0.0


class _Gone(Exception):
    """One of both is no more."""


class _Side:
    def __init__(self, sock):
        self.since, self.number = time.monotonic(), 0
        sock.settimeout(120)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock, self.buffer = sock, b""

    def fill(self):
        try:
            piece = self.sock.recv(65536)
        except OSError as error:
            raise _Gone from error
        if not piece:
            raise _Gone
        self.buffer += piece

    def has_more(self):
        """Whether something came, or the end; does not wait."""
        self.sock.setblocking(False)
        try:
            self.fill()
        except _Gone as gone:
            if isinstance(gone.__cause__, (ssl.SSLWantReadError, BlockingIOError)):
                return False  # a record of TLS without data
            raise
        finally:
            self.sock.settimeout(120)
        return True

    def pending(self):
        return bool(self.buffer) or (isinstance(self.sock, ssl.SSLSocket) and self.sock.pending() > 0)

    def line(self):
        while b"\n" not in self.buffer:
            self.fill()
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line + b"\n"

    def reply(self):
        """All lines of one."""
        lines = [self.line()]
        while lines[-1][3:4] == b"-":
            lines.append(self.line())
        return b"".join(lines)

    def send(self, data):
        try:
            self.sock.sendall(data)
        except OSError as error:
            raise _Gone from error

    def secure(self, context, **options):
        try:
            self.sock = context.wrap_socket(self.sock, **options)
        except OSError as error:
            raise _Gone from error

    def close(self):
        self.sock.close()


class DotProxy:
    """Serves on `port` of 127.0.0.1 until close(). `mails` has all whose final dot came, in that order."""

    def __init__(self, server_port, ca_file, certificate, key):
        self._server_port = server_port
        self._to_server = ssl.create_default_context(cafile=ca_file)
        self._to_client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._to_client.load_cert_chain(certificate, key)
        self.mails = []
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self._listener.close()

    def _accept(self):
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(sock, self.connections), daemon=True).start()

    def _serve(self, sock, number):
        client, server = _Side(sock), None
        client.number = number
        try:
            server = _Side(socket.create_connection(("127.0.0.1", self._server_port), timeout=30))
            client.send(server.reply())
            while self._command(client, server):
                pass
        except (_Gone, OSError):
            pass
        finally:
            client.close()
            if server:
                server.close()

    def _command(self, client, server):
        """One command and its reply; False after QUIT."""
        self._wait(client, server)
        command = client.line()
        verb = command[:8].upper()
        server.send(command)
        reply = server.reply()
        client.send(reply)
        if verb == b"STARTTLS" and reply.startswith(b"220"):
            server.secure(self._to_server, server_hostname="localhost")
            client.secure(self._to_client, server_side=True)
        elif verb.startswith(b"AUTH"):
            while reply.startswith(b"334"):
                server.send(client.line())
                reply = server.reply()
                client.send(reply)
        elif verb.startswith(b"DATA") and reply.startswith(b"354"):
            self._mail(client, server)
        return not verb.startswith(b"QUIT")

    @staticmethod
    def _wait(client, server):
        """For a command. What the server says unasked is passed on; its end ends the connection."""
        while not client.pending():
            ready, _, _ = select.select([client.sock, server.sock], [], [])
            if server.sock in ready and server.has_more():
                client.send(server.reply())
            if client.sock in ready and client.has_more():
                return

    def _mail(self, client, server):
        head, tail = b"", b"\r\n"  # of the line before
        while True:
            while not client.buffer:
                client.fill()
            piece, client.buffer = client.buffer, b""
            head = (head + piece)[:_HEAD]
            whole = tail + piece
            tail = whole[-(len(_TERMINATOR) - 1):]
            end = _TERMINATOR in whole
            if end:
                break
            server.send(piece)
        found = _MESSAGE_ID.search(head)
        mail = Mail(found.group(1).decode() if found else "", client.number, client.since, time.monotonic())
        self.mails.append(mail)
        server.send(piece)
        reply = server.reply()
        mail.code, mail.replied_at = int(reply[:3]), time.monotonic()
        client.send(reply)
