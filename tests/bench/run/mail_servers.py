"""Postern with smtp.so, and the mail servers that it sends to."""

import contextlib
import json
import os
import secrets
import shutil
import sqlite3
import subprocess
import sys
import threading
import time

from measure import MESSAGES
from servers import Failure, Postern, Server, end, free_port

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../support/mail"))
import postfix  # noqa: E402
from certificates import make_certificates  # noqa: E402

USER, PASSWORD, TOKEN = "postern@mail.postern.test", "correct-horse-battery", secrets.token_hex(16)
FEEDERS = 8

# All that is not here has its default, but what a mail waits until it is tried again.
_POSTERN = """gateway:
  listen: [127.0.0.1:{port}]
  public_url: http://127.0.0.1:{port}
admin: {{socket: admin.sock}}
store: {{kind: sqlite, path: events.db}}
plugin_dir: {plugins}
plugins:
  - name: smtp
    library: smtp.so
    deadline: 3m
    retry: {{attempts: 20, base: 1s, cap: 1s}}
    breaker: {breaker}
    config:
      host: localhost
      from: Postern <postern@example.com>
      connections: {connections}
      health: {{connect: false}}
      api: {{tokens: [{token}]}}
"""
_SECURE = "      port: {port}\n      ca_file: {ca}\n      user: {user}\n      password: {password}\n"
_CLEAR = "      port: {port}\n      tls: none\n"


class RealMailServer:
    """Postfix with STARTTLS and AUTH, which fsyncs each mail in its queue before it says that it has it, and again in the inbox."""

    name, title, stores = "postfix", "Postfix, STARTTLS and AUTH", True

    def __init__(self, folder):
        os.mkdir(folder, 0o755)
        self.ca, certificate, key = make_certificates(folder)
        self.server = postfix.Postfix(os.path.join(folder, "postfix"), certificate, key, USER, PASSWORD)

    def __enter__(self):
        self.server.start()
        return self

    def __exit__(self, *_):
        self.server.kill()

    @staticmethod
    def missing():
        return postfix.missing()

    def config(self):
        return _SECURE.format(port=self.server.port, ca=self.ca, user=USER, password=PASSWORD)

    def pids(self):
        return self.server.pids()

    def delivered(self):
        return len(self.server.mails())

    def mails(self):
        return self.server.mails()


class Sink(Server):
    """Postfix's smtp-sink: says yes to everything and throws it away, without TLS. What Postern alone costs."""

    name, title, stores = "sink", "smtp-sink, in clear, which keeps nothing", False

    @staticmethod
    def binary():
        return shutil.which("smtp-sink", path="/usr/sbin:/usr/bin")

    @classmethod
    def missing(cls):
        return None if cls.binary() else "smtp-sink (package postfix) is not installed; packaging/install-dependencies.sh test installs it"

    def prepare(self):
        return [self.binary(), "-u", "nobody", f"127.0.0.1:{self.port}", "256"], {}

    def _wait_until_it_answers(self):
        last = time.monotonic() + 20
        while time.monotonic() < last and self.process.poll() is None:
            with contextlib.suppress(OSError), postfix.socket.create_connection(("127.0.0.1", self.port), timeout=5):
                return
            time.sleep(0.02)
        raise Failure(f"{self.name} does not answer:\n{self.log_tail()}")

    def config(self):
        return _CLEAR.format(port=self.port)


class MailPostern(Postern):
    """It is fed while no mail server answers, so that its breaker holds the mails; send() gives it one."""

    def __init__(self, folder, build, connections):
        super().__init__(folder, build, MESSAGES)
        self.connections = connections
        self.server_lines, self.breaker = _CLEAR.format(port=free_port()), "{failures: 1, open_for: 1h}"

    def prepare(self):
        text = _POSTERN.format(port=self.port, plugins=json.dumps(self.plugins), breaker=self.breaker, connections=self.connections,
                               token=TOKEN) + self.server_lines
        with open(os.path.join(self.folder, "gateway.yaml"), "w", encoding="utf-8") as file:
            file.write(text)
        return [self.binary, "serve", "-c", "gateway.yaml"], {}

    def feed(self, count, size):
        """By POST /api/v1/email/send; until all are durable."""
        numbers, lock, failures = iter(range(count)), threading.Lock(), []

        def work():
            connection = self.connect(timeout=30)
            while not failures:
                with lock:
                    number = next(numbers, None)
                if number is None:
                    return
                try:
                    connection.request("POST", "/api/v1/email/send", order(number, size),
                                       {"Content-Type": "application/json", "Authorization": f"Bearer {TOKEN}",
                                        "Idempotency-Key": f"m{number}"})
                    answer = connection.getresponse()
                    body = answer.read()
                    if answer.status != 200:
                        failures.append(f"{answer.status} {body.decode()}")
                except OSError as error:
                    failures.append(str(error))

        threads = [threading.Thread(target=work) for _ in range(FEEDERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise Failure(f"an order was not taken: {failures[0]}\n{self.log_tail()}")

    def send_to(self, server):
        """Starts anew, with this mail server and the default breaker."""
        end(self.processes.pop())
        time.sleep(1.5)  # what was tried and held is due again
        self.server_lines, self.breaker = server.config(), "{}"
        self.start()
        self._wait_until_it_answers()

    def rows(self, sql):
        with contextlib.closing(sqlite3.connect(f"file:{self.folder}/events.db?mode=ro", uri=True, timeout=10)) as database:
            return database.execute(sql).fetchall()

    def count(self, state):
        """Of the orders; the plugin has other deliveries too."""
        return self.rows(f"SELECT count(*) FROM delivery WHERE subscriber = 'send' AND state = '{state}'")[0][0]


def order(number, size):
    line = "The quick brown fox jumps over the lazy dog, and a gateway mails of it.\n"
    text = (line * (size // len(line) + 1))[:size - 1] + "\n"
    return json.dumps({"to": f"reader{number % 50}@example.com", "subject": f"Mail m{number}", "text": text})
