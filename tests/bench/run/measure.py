"""One round: load on one server, and what it took. A comparison: rounds of two servers, alternating."""

import base64
import json
import os
import secrets
import subprocess
import time
from dataclasses import dataclass, field

import machine
from servers import Failure, end


@dataclass(frozen=True)
class Traffic:
    """What is sent, and which plugin takes it."""

    title: str
    plugin: str
    secrets: str  # the key of the plugin's configuration
    secret: str
    scheme: str  # postern_load --scheme
    path: str
    public_url: str = "https://hooks.bench.test"
    folder: str = "plugins"  # of the build, where the plugin is


MESSAGES = Traffic("openphone message.received", "openphone", "webhook_secrets",
                   "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode(), "standard", "/api/v1/webhooks/openphone")
_TOKEN = secrets.token_hex(16)
CALLS = Traffic("twilio incoming-call, a reply route", "twilio", "auth_tokens", _TOKEN, "twilio",
                "/api/v1/webhooks/incoming-call")
EMPTY = Traffic("an empty handler", "empty", "webhook_secrets", MESSAGES.secret, "standard", "/api/v1/webhooks/empty",
                folder="tests/plugins")
CALL_STATUS = Traffic("twilio call-status", "twilio", "auth_tokens", _TOKEN, "twilio", "/api/v1/webhooks/call-status")


@dataclass
class Round:
    """Figures of one server under load. Settled: of the events that the store took meanwhile; None without a store."""

    server: str
    connections: int
    seconds: float
    requests: int
    acked: int
    requests_per_s: float
    p50_us: int
    p99_us: int
    server_cpu_s_per_100k: float
    generator_us_per_request: float
    generator_busy: float  # share of its threads' time; near 1 it is the generator that is measured
    rss_mib: float
    settled_per_s: float | None
    settled_share: float | None
    errors: int  # broken connections, timeouts, answers that are not HTTP
    statuses: dict
    unacked: int  # under way at the end: nobody knows whether they were accepted

    @property
    def wrong(self):
        """Requests that got no 2xx."""
        return self.errors + sum(count for status, count in self.statuses.items() if not status.startswith("2"))


@dataclass
class Comparison:
    """Rounds of two servers, one after the other. The round whose ratio is the median stands for all of them."""

    title: str
    connections: int
    labels: tuple
    rounds: list = field(default_factory=list)  # pairs of Round

    @staticmethod
    def ratio_of(pair):
        return pair[1].requests_per_s / pair[0].requests_per_s

    @property
    def shown(self):
        return sorted(self.rounds, key=self.ratio_of)[(len(self.rounds) - 1) // 2]

    @property
    def ratio(self):
        return self.ratio_of(self.shown)

    def as_json(self):
        return {"title": self.title, "connections": self.connections, "labels": self.labels, "ratio": self.ratio,
                "ratios": [self.ratio_of(pair) for pair in self.rounds],
                "median": [vars(one) for one in self.shown],
                "rounds": [[vars(one) for one in pair] for pair in self.rounds]}


class Generator:
    """postern_load, with half of the CPUs at most: the other half is the server's."""

    def __init__(self, build):
        self.binary = os.path.join(build, "postern_load")
        self.threads = max(1, machine.cpus() // 2)

    def start(self, server, traffic, connections, *amount):
        command = [self.binary, "--to", f"127.0.0.1:{server.port}", "--path", traffic.path, "--scheme", traffic.scheme,
                   "--public-url", traffic.public_url, "--connections", str(connections), "--threads",
                   str(min(self.threads, connections)), "--json", "--quiet", *amount]
        return subprocess.Popen(command, env={**os.environ, "POSTERN_LOAD_SECRET": traffic.secret},
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                process_group=0)

    @staticmethod
    def result(process, server):
        out, errors = process.communicate()
        if process.returncode != 0:
            answers = json.loads(out)["statuses"] if out else {}
            raise Failure(f"the load on {server.name} failed: {errors.strip()} {answers}\n{server.log_tail()}")
        return json.loads(out)


def measure(generator, server, traffic, connections, seconds, *options):
    """One Round of `seconds` on a server that has nothing else to do; `options` are postern_load's."""
    before = server.counters()
    cpu = machine.cpu_seconds(server.pids())
    process = generator.start(server, traffic, connections, "--duration", str(seconds), *options)
    try:
        # Shortly before the end, under full load: afterwards the handlers would have the machine to themselves.
        time.sleep(max(0.1, seconds - 0.3))
        meanwhile = server.counters()
        rss_mib = machine.rss_mib(server.pids())
        load = generator.result(process, server)
    finally:
        end(process)
    cpu = machine.cpu_seconds(server.pids()) - cpu
    share = None
    if before and meanwhile["events"] > before["events"]:
        share = (meanwhile["settled"] - before["settled"]) / (meanwhile["events"] - before["events"])
    threads = min(generator.threads, connections)
    return Round(server=server.name, connections=connections, seconds=load["seconds"], requests=load["requests"],
                 acked=load["acked"], requests_per_s=load["acks_per_s"], p50_us=load["p50_us"], p99_us=load["p99_us"],
                 server_cpu_s_per_100k=cpu / load["requests"] * 100_000,
                 generator_us_per_request=load["cpu_s"] / load["requests"] * 1e6,
                 generator_busy=load["cpu_s"] / (load["seconds"] * threads), rss_mib=rss_mib,
                 settled_per_s=None if share is None else share * load["acks_per_s"], settled_share=share,
                 errors=load["errors"] + load["refused_connections"], statuses=load["statuses"], unacked=load["unacked"])
