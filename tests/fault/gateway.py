"""The real daemon in a folder of its own, and the load on it. Every process started here ends with this program, however it ends."""

import base64
import contextlib
import ctypes
import glob
import json
import os
import secrets
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time

_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1
_DIE_WITH_TRACER = ("setpriv", "--pdeathsig", "KILL")  # which does not end what it traces when it is killed


class Failure(Exception):
    """The test cannot go on; says why."""


def die_with_parent():
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def eventually(seconds, condition, every=0.005):
    """Asks until the condition gives something; its answer, or what it gave last."""
    last = time.monotonic() + seconds
    while not (answer := condition()) and time.monotonic() < last:
        time.sleep(every)
    return answer


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


_YAML = """gateway:
  listen: [127.0.0.1:{port}]
  public_url: http://127.0.0.1:{port}
{settings}admin: {{socket: {folder}/admin.sock}}
store: {{kind: sqlite, path: {store}}}
dispatch: {{{dispatch}}}
plugin_dir: {build}/plugins
plugins:
  - name: openphone
    library: openphone.so
    config: {{webhook_secrets: ["${{env:POSTERN_LOAD_SECRET}}"]}}
{plugins}"""


class Gateway:
    """`with Gateway(test) as gateway:` has a folder and a configuration; start() starts it. `store_folder`: on another file system.
    `settings`: more of `gateway:`, {key: value as YAML has it}."""

    def __init__(self, test, dispatch="", plugins="", store_folder=None, environment=None, settings=None):
        self.binary, self.build = test.binary, test.build
        self.folder = tempfile.mkdtemp(prefix="pst-", dir="/tmp")  # short: the path of a Unix socket ends at 107 bytes
        self.store = os.path.join(store_folder or self.folder, "events.db")
        self.port = free_port()
        self.secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
        self.environment = {**os.environ, "POSTERN_LOAD_SECRET": self.secret, **(environment or {})}
        self.process = self.pid = None
        self.keep = test.keep
        self.config = os.path.join(self.folder, "gateway.yaml")
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(_YAML.format(port=self.port, folder=self.folder, store=self.store, build=self.build, dispatch=dispatch,
                                    plugins=plugins, settings="".join(f"  {k}: {v}\n" for k, v in (settings or {}).items())))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process:
            self.kill()
        if self.keep:
            print(f"kept: {self.folder}")
        else:
            shutil.rmtree(self.folder, ignore_errors=True)

    def launch(self, tracer=()):
        """Without waiting for it. `tracer`: a command in front, whose only child is the daemon."""
        before = [*tracer, *_DIE_WITH_TRACER] if tracer else []
        with open(os.path.join(self.folder, "log"), "ab") as log:
            self.process = subprocess.Popen([*before, self.binary, "serve", "-c", self.config], env=self.environment, stdout=log,
                                            stderr=log, stdin=subprocess.DEVNULL, preexec_fn=die_with_parent)
        self.pid = None if tracer else self.process.pid

    def start(self, tracer=(), seconds=120):
        """Until GET /health answers; returns how long that took."""
        begin = time.monotonic()
        self.launch(tracer)
        while not self.answers():
            if self.process.poll() is not None:
                raise Failure(f"the gateway ended at once with status {self.process.returncode}:\n{self.log_tail()}")
            if time.monotonic() - begin > seconds:
                raise Failure(f"the gateway does not answer after {seconds} s; its threads: {self.threads()}\n{self.log_tail()}")
            time.sleep(0.005)
        took = time.monotonic() - begin
        if tracer:
            with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children", encoding="ascii") as file:
                self.pid = int(file.read().split()[0])
        return took

    def threads(self):
        """What each thread waits for, as the kernel says: D is the disk."""
        found = []
        for task in sorted(glob.glob(f"/proc/{self.pid or self.process.pid}/task/*")):
            with contextlib.suppress(OSError, IndexError):
                with open(f"{task}/stat", encoding="utf-8", errors="replace") as stat, open(f"{task}/wchan", encoding="ascii") as wchan:
                    fields = stat.read().rpartition(")")[2].split()
                    cpu_s = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
                    found.append(f"{fields[0]} {wchan.read()}, {cpu_s:.1f} s of CPU")
        return "; ".join(found) or "none"

    def answers(self):
        try:
            return self.request("GET", "/health", seconds=2)[0] == 200
        except OSError:
            return False

    def stop(self, seconds=60):
        """SIGTERM; its exit status, negative for a signal. One that does not go is killed."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)
        return self.wait(seconds)

    def wait(self, seconds):
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            return -signal.SIGKILL

    def kill(self):
        for pid in {self.pid, self.process.pid} - {None}:
            if self.process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def running(self):
        return self.process.poll() is None

    def log(self):
        with open(os.path.join(self.folder, "log"), encoding="utf-8", errors="replace") as file:
            return file.read()

    def log_tail(self):
        return self.log()[-3000:].strip() or "(its log is empty)"

    def request(self, method, target, body=b"", seconds=10):
        """One request on a connection of its own: (status, body). OSError when nobody answers."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=seconds) as connection:
            connection.sendall(request_bytes(method, target, body))
            return read_answer(connection)

    def status(self):
        answer = subprocess.run([self.binary, "status", "-c", self.config, "--json"], env=self.environment, check=False,
                                capture_output=True, text=True, timeout=60)
        if answer.returncode != 0:
            raise Failure(f"postern status: {answer.stderr.strip()}\n{self.log_tail()}")
        return json.loads(answer.stdout)

    def rows(self, sql, *parameters):
        with contextlib.closing(sqlite3.connect(f"file:{self.store}?mode=ro", uri=True, timeout=10)) as database:
            return database.execute(sql, parameters).fetchall()

    def number(self, sql, *parameters):
        return self.rows(sql, *parameters)[0][0] or 0

    def unsettled(self):
        return self.number("SELECT count(*) FROM delivery WHERE state IN ('queued', 'running')")

    def open_files(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def cpu_s(self):
        with open(f"/proc/{self.pid}/stat", encoding="utf-8", errors="replace") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss_mib(self):
        with open(f"/proc/{self.pid}/status", encoding="ascii") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmRSS:")) / 1024


def request_bytes(method, target, body=b""):
    return (f"{method} {target} HTTP/1.1\r\nHost: postern\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            .encode() + body)


def read_answer(connection):
    data = b""
    while b"\r\n\r\n" not in data:
        data += _more(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    length = next((int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
    while len(body) < length:
        body += _more(connection)
    return int(head.split()[1]), body


def _more(connection):
    piece = connection.recv(65536)
    if not piece:
        raise ConnectionError("the connection ended before the answer")
    return piece


class Load:
    """postern_load on a gateway, with a journal of what was acknowledged."""

    def __init__(self, test, gateway, *options):
        self.journal = os.path.join(gateway.folder, "acked")
        self.process = subprocess.Popen(
            [os.path.join(test.build, "postern_load"), "--to", f"127.0.0.1:{gateway.port}", "--journal", self.journal, "--unacked",
             "--json", *map(str, options)], env=gateway.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, preexec_fn=die_with_parent)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()

    def running(self):
        return self.process.poll() is None

    def acked_bytes(self):
        try:
            return os.path.getsize(self.journal)
        except OSError:
            return 0

    def end(self):
        """SIGTERM; its report."""
        if self.running():
            self.process.terminate()
        return self.result()

    def result(self):
        out, errors = self.process.communicate()
        if not out:
            raise Failure(f"postern_load: {errors.strip()}")
        return json.loads(out)

    def acked(self):
        return ids_of(self.journal)

    def unacked(self):
        return ids_of(self.journal + ".unacked")


def ids_of(journal):
    if not os.path.exists(journal):
        return []
    with open(journal, encoding="ascii") as file:
        return file.read().split()
