"""Events for the plugin probe (tests/integration/probe), which says what its handler shall do: entries of `plugins:`, and senders."""

import json
import os
import socket
import threading
import time

from gateway import read_answer, request_bytes


def entry(test, name="probe", prefix="/probe", policies=""):
    """`policies`: "retry: {base: 1s}"."""
    library = os.path.join(test.build, "tests/plugins/probe.so")
    return f"  - {{name: {name}, library: {library}, config: {{prefix: {prefix}}}{', ' if policies else ''}{policies}}}\n"


def event(what, identity, prefix="/probe", **more):
    """The bytes of a request."""
    return request_bytes("POST", prefix, json.dumps({"id": identity, "type": "test", "do": what, **more}, separators=(",", ":")).encode())


class Senders:
    """Threads with one connection each, which send what `make(n)` says for n = 0, 1, …: (id, request). What was not answered is sent
    again, as providers do. Answers other than 2xx are told to `refused` and tried again after a moment."""

    def __init__(self, gateway, make, connections=8, most=None, pause=0.0, refused=lambda status: None):
        self._gateway, self._make, self._most, self._pause, self._refused = gateway, make, most, pause, refused
        self._lock = threading.Lock()
        self._next = 0
        self._stop = threading.Event()
        self.acked = []  # ids
        self._threads = [threading.Thread(target=self._send, daemon=True) for _ in range(connections)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        self._stop.set()
        self.join()

    def join(self):
        for thread in self._threads:
            thread.join()

    def _take(self):
        with self._lock:
            if self._most is not None and self._next >= self._most:
                return None
            self._next += 1
            return self._make(self._next - 1)

    def _send(self):
        connection = None
        while not self._stop.is_set() and (taken := self._take()):
            identity, request = taken
            while not self._stop.is_set():
                connection, status = self._try(connection, request)
                if 200 <= status < 300:
                    self.acked.append(identity)
                    break
                if status:
                    self._refused(status)
                time.sleep(0.01)
            if self._pause:
                time.sleep(self._pause)
        if connection:
            connection.close()

    def _try(self, connection, request):
        try:
            connection = connection or socket.create_connection(("127.0.0.1", self._gateway.port), timeout=20)
            connection.sendall(request)
            return connection, read_answer(connection)[0]
        except OSError:
            if connection:
                connection.close()
            return None, 0
