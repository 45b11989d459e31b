"""tests/bench/bars.sh: bars of speed that are ratios of Postern to itself or to SQLite alone: TLS, large bodies, a store that grows."""

import argparse
import http.client
import json
import os
import ssl
import statistics
import subprocess
import sys

import full_store
import report
import session
from measure import EMPTY, MESSAGES, Comparison, Generator, measure
from servers import Failure, Postern, end

PHASES = ("tls", "bodies", "growth")
CONNECTIONS = 256
BODY = 2**20
BODY_CONNECTIONS = 16
LEAST_TLS = 0.7  # of the rate without
LEAST_BODIES = 0.7  # of the rate of a bare loop with the same blobs
LEAST_GROWN = 0.8  # of the rate with an empty store


def parse(arguments):
    parser = argparse.ArgumentParser(
        prog="tests/bench/bars.sh", description=__doc__.partition(": ")[2],
        epilog="Exit: 0 measured (and in full mode every bar met), 1 a bar missed or the measurement failed, "
               "2 wrong usage or something is missing. Build first: cmake --preset release && cmake --build --preset release")
    parser.add_argument("phases", nargs="*", metavar="PHASE", help=f"of {', '.join(PHASES)}; default: all")
    parser.add_argument("--quick", action="store_true",
                        help="3 s a phase, 200 large bodies and 100,000 stored events; a missed bar is not an error")
    parser.add_argument("--json", metavar="FILE", help="write all figures to FILE")
    parser.add_argument("--build", metavar="DIR", default=session.RELEASE, help="the build that is measured (default: build/release)")
    parser.add_argument("--seconds", type=float, help="of each round (default: 10, quick: 3)")
    parser.add_argument("--stored", type=int, help="events that the store grows to (default: 5,000,000, quick: 100,000)")
    parser.add_argument("--bodies", type=int, help="large bodies of a round (default: 3,000, quick: 200)")
    parser.add_argument("--rounds", type=int, default=3, help="of each phase; the median counts (default: 3)")
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.phases) - set(PHASES))
    if unknown:
        parser.error(f"there is no phase {unknown[0]}; there are {', '.join(PHASES)}")
    options.phases = options.phases or list(PHASES)
    options.seconds = options.seconds or (3 if options.quick else 10)
    options.stored = options.stored or (100_000 if options.quick else 5_000_000)
    options.bodies = options.bodies or (200 if options.quick else 3_000)
    if options.seconds < 0.5 or min(options.stored, options.bodies, options.rounds) < 1:
        parser.error("--seconds is at least 0.5, --stored, --bodies and --rounds at least 1")
    options.build = os.path.abspath(options.build)
    return options


class TlsPostern(Postern):
    """The gateway with a TLS listener alone, and a certificate of its own making."""

    name = "postern, TLS"

    def prepare(self):
        command, environment = super().prepare()
        made = subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                               "-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem",
                               "-out", "cert.pem"], cwd=self.folder, check=False, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, process_group=0)
        if made.returncode != 0:
            raise Failure(f"openssl req: {made.stderr.strip()}")
        os.chmod(os.path.join(self.folder, "key.pem"), 0o600)
        path = os.path.join(self.folder, "gateway.yaml")
        with open(path, encoding="utf-8") as file:
            text = file.read()
        plain = f"listen: [127.0.0.1:{self.port}]"
        secure = f'listen: [{{address: "127.0.0.1:{self.port}", tls: {{certificate: cert.pem, key: key.pem}}}}]'
        if plain not in text:
            raise Failure(f"the configuration has no {plain}")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text.replace(plain, secure))
        return command, environment


    def connect(self, timeout):
        context = ssl.create_default_context(cafile=os.path.join(self.folder, "cert.pem"))
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=timeout, context=context)


class Bench:
    """Each phase returns its bar, and has its figures in self.figures."""

    def __init__(self, options, folder):
        self.options = options
        self.folder = folder
        self.generator = Generator(options.build)
        steps = {"tls": 2 * options.rounds, "bodies": 2 * options.rounds, "growth": 2 + 2 * options.rounds}
        self.progress = report.Progress(sum(steps[phase] for phase in options.phases))
        self.figures = {}

    def postern(self, kind=Postern, name="postern", traffic=MESSAGES):
        return kind(os.path.join(self.folder, name), self.options.build, traffic)

    def measure(self, server, what, *options):
        self.progress.begin(what)
        one = measure(self.generator, server, MESSAGES, CONNECTIONS, self.options.seconds, *options)
        if one.wrong:
            raise Failure(f"{what}: {one.wrong} requests got no 2xx: {one.statuses}\n{server.log_tail()}")
        self.progress.done(f"{one.requests_per_s:,.0f}/s")
        return one

    def tls(self):
        comparison = Comparison(MESSAGES.title + ", TLS", CONNECTIONS, ("postern, plain", "postern, TLS"))
        for number in range(self.options.rounds):
            what = f"round {number + 1} of {self.options.rounds}"
            with self.postern() as server:
                plain = self.measure(server, f"postern: plain, {what}")
            with self.postern(TlsPostern) as server:
                comparison.rounds.append((plain, self.measure(server, f"postern: TLS, {what}", "--tls")))
        report.print_table("TLS, connections kept alive; the ratio is its rate to that without", [comparison])
        self.figures["tls"] = comparison.as_json()
        return "rate over TLS to that without", comparison.ratio, LEAST_TLS

    def gateway_bodies(self):
        """With an empty handler: openphone's keeps a message's text once more, in a record, which is not what the loop writes."""
        with self.postern(traffic=EMPTY) as server:
            process = self.generator.start(server, EMPTY, BODY_CONNECTIONS, "--requests", str(self.options.bodies),
                                           "--body-size", str(BODY))
            try:
                load = self.generator.result(process, server)
            finally:
                end(process)
        if load["queued"] != self.options.bodies:
            raise Failure(f"only {load['queued']} of {self.options.bodies} bodies were stored: {load['statuses']}")
        return load["acks_per_s"]

    def loop_bodies(self):
        database = os.path.join(self.folder, "blobs.db")
        loop = subprocess.run([os.path.join(self.options.build, "postern_blobs"), "--file", database, "--size", str(BODY), "--batch",
                               str(BODY_CONNECTIONS), "--count", str(self.options.bodies)], check=False, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, process_group=0)
        for ending in ("", "-wal", "-shm"):
            if os.path.exists(database + ending):
                os.unlink(database + ending)
        os.sync()  # so that the next one does not wait for what this one has left to write
        if loop.returncode != 0:
            raise Failure(loop.stderr.strip())
        return json.loads(loop.stdout)["blobs_per_s"]

    def bodies(self):
        rounds = []
        for number in range(self.options.rounds):
            what = f"{self.options.bodies:,} bodies of 1 MiB, round {number + 1} of {self.options.rounds}"
            rates = []
            for name, run in (("a bare loop", self.loop_bodies), ("postern", self.gateway_bodies)):
                self.progress.begin(f"{name}: {what}")
                rates.append(run())
                self.progress.done(f"{rates[-1]:,.1f}/s")
            rounds.append({"loop_per_s": rates[0], "postern_per_s": rates[1], "ratio": rates[1] / rates[0]})
        print("\n" + report.paint("Bodies of 1 MiB; the ratio is Postern's rate to that of a bare loop with SQLite", "bold"))
        for one in rounds:
            print(f"  loop {one['loop_per_s']:,.1f}/s  postern {one['postern_per_s']:,.1f}/s  ratio {one['ratio']:.2f}")
        self.figures["bodies"] = rounds
        return "rate of 1 MiB bodies to that of a bare loop", statistics.median(one["ratio"] for one in rounds), LEAST_BODIES

    def growth(self):
        comparison, fill = full_store.compare(lambda name: self.postern(name=name), self.generator, self.progress, self.measure,
                                              self.options.stored, CONNECTIONS, self.options.rounds)
        full_store.print_full_store(comparison, fill)
        self.figures["growth"] = {"fill": fill, "comparison": comparison.as_json()}
        return f"rate with {self.options.stored:,} stored events to that with an empty store", comparison.ratio, LEAST_GROWN


def missing(options):
    lacking = session.missing(options.build, "plugins/openphone.so", "tests/plugins/empty.so", "postern_blobs")
    if lacking or "tls" not in options.phases:
        return lacking
    load = subprocess.run([os.path.join(options.build, "postern_load"), "--help"], check=False, capture_output=True, text=True)
    return None if "--tls" in load.stdout else f"{options.build}/postern_load knows no --tls; build it anew, or leave phase tls out"


def main(arguments):
    options = parse(arguments)

    def work(folder, facts):
        bench = Bench(options, folder)
        bars = []
        for phase in options.phases:
            name, value, wanted = getattr(bench, phase)()
            bars.append({"name": name, "value": value, "wanted": wanted, "met": value >= wanted})
            sys.stdout.flush()
        report.print_bars(bars, not options.quick)
        if options.json:
            session.write_json(options.json, {"mode": "quick" if options.quick else "full", "seconds": options.seconds, "machine": facts,
                                              **bench.figures, "bars": bars})
        return 0 if options.quick or all(bar["met"] for bar in bars) else 1

    disk = 4 * options.bodies * BODY if "bodies" in options.phases else 0  # log and database, of the loop's or the gateway's
    grown = full_store.disk_bytes(options.stored) if "growth" in options.phases else 0
    return session.run("bars.sh", options, missing(options), max(disk, grown, 2 * session.GIB), work)


sys.exit(main(sys.argv[1:]))
