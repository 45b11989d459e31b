"""The gateway as a unit of systemd: what it tells systemd, sockets that systemd holds, and systemd's own judgement of the unit.

usage: systemd_test.py POSTERN PLUGINS UNITS
"""

import contextlib
import http.client
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

UNITS, PLUGINS, POSTERN = (os.path.abspath(sys.argv.pop()) for _ in range(3))
CANNOT_START = 75  # which the unit tries again
MOST_EXPOSED = 1.5  # of systemd-analyze security, 10 being the worst

CONFIG = """gateway: {{listen: [{listen}], public_url: http://127.0.0.1:{port}}}
admin: {{socket: {folder}/admin.sock}}
store: {{kind: sqlite, path: {folder}/events.db}}
plugin_dir: {plugins}
plugins:
  - {{name: openphone, library: openphone.so, config: {{signing_keys: ["${{env:KEY}}"]}}}}
"""


def with_socket(listener):
    """As systemd starts a service that has a socket: descriptor 3, and LISTEN_PID is the service's own."""
    os.dup2(listener.fileno(), 3)
    os.set_inheritable(3, True)


class Unit(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="pst-", dir="/tmp")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.addCleanup(self.listener.close)
        self.port = self.listener.getsockname()[1]
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.manager.close)
        self.manager.bind(f"{self.folder}/notify")
        self.manager.settimeout(20)
        self.environment = {**os.environ, "KEY": secrets.token_hex(16), "NOTIFY_SOCKET": f"{self.folder}/notify"}

    def configure(self, listen=None):
        with open(f"{self.folder}/gateway.yaml", "w", encoding="utf-8") as file:
            file.write(CONFIG.format(listen=listen or f"127.0.0.1:{self.port}", port=self.port, folder=self.folder, plugins=PLUGINS))

    def start(self, held=True, **environment):
        """With the listening socket of this test, or without any."""
        # The shell is replaced by the gateway, so that $$ is its pid.
        sockets = 'export LISTEN_FDS=1 LISTEN_PID=$$; ' if held else ""
        process = subprocess.Popen(["sh", "-c", f'{sockets}exec "$0" serve -c "$1"', POSTERN, f"{self.folder}/gateway.yaml"],
                                   env={**self.environment, **environment}, pass_fds=(3,) if held else (), stderr=subprocess.PIPE, text=True,
                                   preexec_fn=(lambda: with_socket(self.listener)) if held else None)
        self.addCleanup(self.end, process)
        return process

    @staticmethod
    def end(process):
        if process.poll() is None:
            process.kill()
        process.communicate()

    def told(self, what):
        """Waits until the gateway has told systemd so."""
        while True:
            said = self.manager.recv(4096).decode()
            if what in said.split("\n"):
                return said

    def get(self, path="/health"):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        with contextlib.closing(connection):
            connection.request("GET", path)
            return connection.getresponse().status

    def test_tells_when_it_is_ready_and_when_it_stops(self):
        self.configure()
        process = self.start()
        self.told("READY=1")
        self.assertEqual(self.get(), 200)
        process.terminate()
        self.told("STOPPING=1")
        self.assertEqual(process.wait(20), 0)

    def test_the_watchdog_is_fed_while_all_is_well_and_only_then(self):
        self.configure()
        process = self.start(WATCHDOG_USEC="600000")
        for _ in range(3):
            self.told("WATCHDOG=1")
        process.send_signal(signal.SIGSTOP)
        self.manager.settimeout(1)
        with self.assertRaises(TimeoutError):
            while True:  # what was sent before
                self.told("WATCHDOG=1")
        process.send_signal(signal.SIGCONT)
        self.manager.settimeout(20)
        self.told("WATCHDOG=1")

    def test_a_restart_refuses_no_connection(self):
        self.configure()
        process = self.start()
        self.told("READY=1")
        statuses, ending = [], threading.Event()

        def ask():
            while not ending.is_set():
                try:
                    statuses.append(self.get())
                except OSError as error:
                    statuses.append(repr(error))

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for _ in range(3):
            process.terminate()
            self.assertEqual(process.wait(20), 0)
            process = self.start()
            self.told("READY=1")
            time.sleep(0.2)
        ending.set()
        for thread in threads:
            thread.join()
        # Whoever is told 503 while the gateway drains comes again; nobody is refused or reset.
        self.assertLessEqual(set(statuses), {200, 503})
        self.assertGreater(statuses.count(200), 20)

    def test_a_socket_that_the_configuration_does_not_name_is_told(self):
        self.configure(listen="127.0.0.1:1")
        process = self.start()
        _, said = process.communicate(timeout=20)
        self.assertEqual(process.returncode, CANNOT_START)
        self.assertIn(f"127.0.0.1:{self.port}", said)
        self.assertIn("gateway.listen", said)

    def test_what_is_no_listening_socket_is_told(self):
        self.configure()
        self.listener.close()
        self.listener = socket.socket()
        process = self.start()
        _, said = process.communicate(timeout=20)
        self.assertEqual(process.returncode, CANNOT_START)
        self.assertIn("not a listening stream socket", said)

    def test_systemd_socket_activate(self):
        self.listener.close()
        self.configure()
        environment = [f"--setenv={name}={self.environment[name]}" for name in ("KEY", "NOTIFY_SOCKET")]
        process = subprocess.Popen(["systemd-socket-activate", "-l", f"127.0.0.1:{self.port}", *environment, POSTERN, "serve", "-c",
                                    f"{self.folder}/gateway.yaml"], stderr=subprocess.PIPE, text=True)
        self.addCleanup(self.end, process)
        for _ in range(400):
            with contextlib.suppress(ConnectionRefusedError):
                self.assertEqual(self.get(), 200)  # the first connection starts the gateway, which answers it
                break
            time.sleep(0.05)
        self.told("READY=1")


class Files(unittest.TestCase):
    def test_the_service_is_not_exposed(self):
        done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager", f"{UNITS}/postern.service"], capture_output=True,
                              text=True, check=True)
        exposure = re.search(r"Overall exposure level for postern.service: ([0-9.]+)", done.stdout)
        self.assertLessEqual(float(exposure[1]), MOST_EXPOSED, done.stdout)

    def test_systemd_understands_the_units(self):
        with tempfile.TemporaryDirectory() as folder:
            for name in ("postern.service", "postern.socket"):
                with open(f"{UNITS}/{name}", encoding="utf-8") as file:
                    text = file.read()
                with open(f"{folder}/{name}", "w", encoding="utf-8") as file:
                    file.write(re.sub("^(Exec[A-Z][a-z]+=)/usr/bin/postern", rf"\1{POSTERN}", text, flags=re.M))
            done = subprocess.run(["systemd-analyze", "verify", "--man=no", f"{folder}/postern.service", f"{folder}/postern.socket"],
                                  capture_output=True, text=True, check=False)
            self.assertEqual((done.returncode, done.stderr), (0, ""))


if __name__ == "__main__":
    unittest.main()
