"""A real nginx and a real haproxy before the gateway, each in several lanes, and between them and it a tap that counts its answers.

A lane is a listening port of the proxy with an upstream of its own: what a case leaves behind on a connection to the gateway meets the next
case of the same lane, as it would meet somebody else's request.
"""

import os
import random
import re
import socket
import subprocess
import threading
import time
from dataclasses import dataclass

from wire_gateway import Failure, die_with_parent, eventually

# Each answer of the gateway has both, and nothing that a case lets it echo does.
_ANSWER = re.compile(rb"HTTP/1\.1 (\d{3}) [A-Za-z -]+\r\nDate: ")


class Tap:
    """Relays connections to the gateway; knows what it answered, and when something last moved."""

    def __init__(self, gateway_port):
        self._to = ("127.0.0.1", gateway_port)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._connections = []
        self.moved = time.monotonic()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            front, _ = self._listener.accept()
            back = socket.create_connection(self._to)
            for one in (front, back):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = {"answers": b"", "asked": 0, "open": True}
            with self._lock:
                self._connections.append(connection)
            threading.Thread(target=self._relay, args=(front, back, connection, False), daemon=True).start()
            threading.Thread(target=self._relay, args=(back, front, connection, True), daemon=True).start()

    def _relay(self, source, sink, connection, answers):
        try:
            while data := source.recv(65536):
                with self._lock:
                    self.moved = time.monotonic()
                    if answers:
                        connection["answers"] += data
                    connection["asked"] = 0 if answers else connection["asked"] + len(data)
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            for one in (source, sink):
                one.close()
        with self._lock:
            connection["open"] = False

    def waits(self):
        """Whether the gateway has been sent something that it has not answered."""
        with self._lock:
            return any(connection["open"] and connection["asked"] for connection in self._connections)

    def take(self):
        """The statuses of what was answered since the last call, connection by connection."""
        statuses = []
        with self._lock:
            for connection in self._connections:
                statuses += [int(status) for status in _ANSWER.findall(connection["answers"])]
                connection["answers"] = b""
            self._connections = [connection for connection in self._connections if connection["open"]]
        return statuses


@dataclass(frozen=True)
class Forwarded:
    """A request that a proxy sent on, as its log has it. `aborted`: its sender went before the answer came."""

    status: int
    aborted: bool


_NGINX = """daemon off; master_process off; error_log {folder}/nginx.errors warn; pid {folder}/nginx.pid;
events {{ worker_connections 1024; }}
http {{
  log_format wire '$remote_addr $upstream_status $status "$upstream_addr"';
  access_log {folder}/nginx.log wire;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  client_max_body_size 0; large_client_header_buffers 4 128k; client_header_buffer_size 128k; proxy_read_timeout 600s;
  proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $http_host; proxy_next_upstream off; merge_slashes off;
{servers}}}
"""
_NGINX_LANE = """  upstream u{port} {{ server 127.0.0.1:{tap}; keepalive 8; }}
  server {{ listen 127.0.0.1:{port}; {more} location / {{ proxy_pass http://u{port}; }} }}
"""
_NGINX_LOOSE = "proxy_request_buffering off; ignore_invalid_headers off; underscores_in_headers on;"

_HAPROXY = """global
  maxconn 1000
  nbthread 1
  tune.bufsize 131072
  tune.http.maxhdr 1000
  log stdout len 4096 format raw local0
defaults
  mode http
  log global
  timeout connect 60s
  timeout client 600s
  timeout server 600s
  http-reuse always
  option http-keep-alive
  log-format "%ci %ST %ts %s"
"""
_HAPROXY_LANE = """frontend f{port}
  bind 127.0.0.1:{port}
  {more}
  default_backend b{port}
backend b{port}
  server gateway 127.0.0.1:{tap}
"""
_HAPROXY_LOOSE = "option accept-invalid-http-request"


def _free_ports(number):
    """All different, and none that the system gives to somebody else meanwhile: a connection to such a port may even meet itself."""
    held = []
    while len(held) < number:
        try:
            held.append(socket.create_server(("127.0.0.1", random.randrange(10000, 32000))))
        except OSError:
            continue
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


class Front:
    """One proxy with `lanes` of (port, tap)."""

    def __init__(self, name, folder, gateway_port, lanes, loose):
        self.name, self._folder = name, folder
        self.lanes = list(zip(_free_ports(lanes), [Tap(gateway_port) for _ in range(lanes)]))
        self._log = os.path.join(folder, f"{name}.log")
        nginx = name.startswith("nginx")
        template = _NGINX_LANE if nginx else _HAPROXY_LANE
        more = "" if not loose else _NGINX_LOOSE if nginx else _HAPROXY_LOOSE
        lanes_text = "".join(template.format(port=port, tap=tap.port, more=more) for port, tap in self.lanes)
        config = os.path.join(folder, f"{name}.conf")
        with open(config, "w", encoding="utf-8") as file:
            file.write(_NGINX.format(folder=folder, servers=lanes_text).replace("nginx.", f"{name}.") if nginx else _HAPROXY + lanes_text)
        self._parse = self._nginx_line if nginx else self._haproxy_line
        command = ["nginx", "-p", folder, "-c", config, "-e", f"{folder}/{name}.errors"] if nginx else ["haproxy", "-db", "-f", config]
        with open(os.devnull if nginx else self._log, "wb") as out, open(os.path.join(folder, f"{name}.stderr"), "wb") as errors:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=errors, preexec_fn=die_with_parent)

    def __enter__(self):
        if not eventually(60, self._accepts):
            with open(os.path.join(self._folder, f"{self.name}.stderr"), encoding="utf-8", errors="replace") as file:
                raise Failure(f"{self.name} does not start: {file.read().strip()}")
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()

    def _accepts(self):
        try:
            for port, _ in self.lanes:
                socket.create_connection(("127.0.0.1", port), timeout=5).close()
            return True
        except OSError:
            return False

    def running(self):
        return self._process.poll() is None

    @staticmethod
    def _nginx_line(line):
        source, upstream_status, status, upstream = line.split(" ", 3)
        if upstream == '"-"':
            return source, None
        return source, Forwarded(int(upstream_status) if upstream_status.isdigit() else 0, status == "499" or not upstream_status.isdigit())

    @staticmethod
    def _haproxy_line(line):
        source, status, ends, server = line.split(" ")
        if server == "<NOSRV>":
            return source, None
        return source, Forwarded(int(status), ends[0] == "C" or ends[1] in "RQC" or (ends[0] != "-" and ends[1] != "-"))

    def forwarded(self):
        """What was sent on, by the address of its sender."""
        found = {}
        with open(self._log, encoding="utf-8", errors="replace") as file:
            for line in file.read().splitlines():
                try:
                    source, request = self._parse(line)
                except ValueError:
                    continue  # what haproxy says of its own life
                if request:
                    found.setdefault(source, []).append(request)
        return found
