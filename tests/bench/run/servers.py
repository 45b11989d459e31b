"""The servers that are compared, each with a folder and a port of its own, started and stopped by process id."""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import time

import machine


class Failure(Exception):
    """The measurement cannot go on; says why."""


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def end(process, grace=30):
    """Asks the process to end, and kills it and its children when it does not in `grace` seconds."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(grace)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # a group of its own, see below
        process.wait()


class Server:
    """Running between `with` and the end of its block; the folder goes with it."""

    def __init__(self, folder):
        self.folder = folder
        self.port = free_port()
        self.processes = []  # in the order of their start; the last one listens

    @property
    def process(self):
        return self.processes[-1]

    def pids(self):
        """All processes of the server as they are now, children included."""
        return [pid for process in self.processes for pid in machine.tree(process.pid)]

    def ended(self):
        """Which of its processes are no more, though all should be."""
        return [process.args[0] for process in self.processes if process.poll() is not None]

    def __enter__(self):
        os.mkdir(self.folder, 0o700)
        try:
            self.start()
            self._wait_until_it_answers()
        except BaseException:
            self.__exit__()
            raise
        return self

    def start(self):
        self.spawn(*self.prepare())

    def spawn(self, command, environment):
        with open(os.path.join(self.folder, "log"), "ab") as log:
            # A group of its own, so that Ctrl-C at the terminal ends this program first. But no session of its own: Linux's
            # autogroup would divide the processors among sessions then, so that the generator alone counts as much as all threads
            # of a server (see README.md).
            self.processes.append(subprocess.Popen(command, cwd=self.folder, env={**os.environ, **environment}, stdout=log,
                                                   stderr=log, stdin=subprocess.DEVNULL, process_group=0))

    def __exit__(self, *_):
        for process in reversed(self.processes):
            end(process)
        shutil.rmtree(self.folder, ignore_errors=True)
        os.sync()  # so that the next one does not wait for what this one has left to write

    def log_tail(self):
        with open(os.path.join(self.folder, "log"), encoding="utf-8", errors="replace") as file:
            return file.read()[-2000:].strip() or "(its log is empty)"

    def connect(self, timeout):
        """For requests by hand, one after the other."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def _wait_until_it_answers(self):
        last = time.monotonic() + 20
        while time.monotonic() < last and self.process.poll() is None:
            try:
                connection = self.connect(timeout=5)
                connection.request("GET", "/health")
                connection.getresponse()
                return
            except OSError:
                time.sleep(0.02)
            finally:
                connection.close()
        raise Failure(f"{self.name} does not answer:\n{self.log_tail()}")


_NGINX = """daemon off;
worker_processes auto;
worker_rlimit_nofile 8192;
pid nginx.pid;
error_log error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{ return 200; }}
  }}
}}
"""


class Nginx(Server):
    """Answers 200 to everything and throws the body away: what HTTP alone costs on this machine."""

    name = "nginx"

    @staticmethod
    def binary():
        return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")

    def prepare(self):
        conf = os.path.join(self.folder, "nginx.conf")
        with open(conf, "w", encoding="utf-8") as file:
            file.write(_NGINX.format(port=self.port))
        return [self.binary(), "-e", "error.log", "-p", self.folder, "-c", conf], {}

    def counters(self):
        return None


# All that is not here has its default. Paths are relative to the folder: a socket's path may not be long.
_POSTERN = """gateway:
  listen: [127.0.0.1:{port}]
  public_url: {traffic.public_url}
admin: {{socket: admin.sock}}
store: {{kind: sqlite, path: events.db}}
plugin_dir: {plugins}
plugins:
  - name: {traffic.plugin}
    library: {traffic.plugin}.so
    config: {{{traffic.secrets}: ["${{env:POSTERN_LOAD_SECRET}}"]}}
"""


class Postern(Server):
    """The gateway with one plugin, its handlers on, and a store of its own."""

    name = "postern"

    def __init__(self, folder, build, traffic):
        super().__init__(folder)
        self.binary = os.path.join(build, "postern")
        self.plugins = os.path.join(build, traffic.folder)
        self.traffic = traffic

    def prepare(self):
        with open(os.path.join(self.folder, "gateway.yaml"), "w", encoding="utf-8") as file:
            file.write(_POSTERN.format(port=self.port, plugins=json.dumps(self.plugins), traffic=self.traffic))
        return [self.binary, "serve", "-c", "gateway.yaml"], {"POSTERN_LOAD_SECRET": self.traffic.secret}

    def status(self):
        answer = subprocess.run([self.binary, "status", "-c", "gateway.yaml", "--json"], cwd=self.folder, check=False,
                                env={**os.environ, "POSTERN_LOAD_SECRET": self.traffic.secret}, stdin=subprocess.DEVNULL,
                                capture_output=True, text=True, timeout=60, process_group=0)
        if answer.returncode != 0:
            raise Failure(f"postern status: {answer.stderr.strip()}\n{self.log_tail()}")
        return json.loads(answer.stdout)

    def counters(self):
        """Of the store since the start: events, settled, queued (now), dead, duplicates."""
        return self.status()["store"]

    def store_mib(self):
        names = [os.path.join(self.folder, name) for name in os.listdir(self.folder) if name.startswith("events.db")]
        return sum(os.path.getsize(name) for name in names) / 2**20

    def drain(self, tell=lambda queued: None):
        """Returns when nothing is queued any more; a Failure when nothing is settled for a minute."""
        least, since = None, time.monotonic()
        while True:
            counters = self.counters()
            queued = counters["queued"]
            if queued == 0:
                return counters
            if least is None or queued < least:
                least, since = queued, time.monotonic()
            if time.monotonic() - since > 60:
                raise Failure(f"{queued} deliveries stay queued:\n{self.log_tail()}")
            tell(queued)
            time.sleep(0.25)
