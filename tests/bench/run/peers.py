"""tests/bench/peers.sh: Postern against what one would build instead, with the same generator, the same events, in one run."""

import argparse
import datetime
import itertools
import json
import os
import statistics
import subprocess
import sys

import forgery
import machine
import peers_report
import report
import session
from measure import MESSAGES, Generator, measure
from peer_servers import PEER_SERVERS, Express, ExpressEverysec, Celery, missing, output
from servers import Failure, Nginx, Postern, end

CONNECTIONS = (1, 16, 64, 256, 512)
BAR_CONNECTIONS = 256
# What a commit of an event that comes alone appends to the log: pages with their heads. strace shows one pwrite of 3 to 8 of them, since
# settlements go along.
COMMIT_BYTES = 4 * (8192 + 24)
LEAST_OVER_NGINX = 0.5
LEAST_OVER_EXPRESS = 8
LEAST_OVER_CELERY = 25
MOST_OVER_ONE_SYNC = 1.5  # one connection's median, over nginx's and a fdatasync
MOST_P99_MS = 10  # at half of the peak rate


def parse(arguments):
    parser = argparse.ArgumentParser(
        prog="tests/bench/peers.sh", description=__doc__.partition(": ")[2],
        epilog="Exit: 0 measured (and in full mode every bar met), 1 a bar missed or the measurement failed, 2 wrong usage or something "
               "is missing. First: packaging/install-dependencies.sh bench, cmake --preset release && cmake --build --preset release")
    parser.add_argument("--quick", action="store_true", help="3 s a phase, one round; a missed bar is not an error")
    parser.add_argument("--json", metavar="FILE", help="write all figures to FILE")
    parser.add_argument("--write", action="store_true", help="write the tables into README.md and the picture, peers.svg, beside it")
    parser.add_argument("--render", metavar="FILE", help="measure nothing: write tables and picture from what --json has kept in FILE")
    parser.add_argument("--build", metavar="DIR", default=session.RELEASE, help="the build that is measured (default: build/release)")
    parser.add_argument("--seconds", type=float, help="of each phase (default: 10, quick: 3)")
    parser.add_argument("--rounds", type=int, help=f"at {BAR_CONNECTIONS} connections; the median counts (default: 3, quick: 1)")
    options = parser.parse_args(arguments)
    options.seconds = options.seconds or (3 if options.quick else 10)
    options.rounds = options.rounds or (1 if options.quick else 3)
    if options.seconds < 0.5 or options.rounds < 1:
        parser.error("--seconds is at least 0.5, --rounds at least 1")
    options.build = os.path.abspath(options.build)
    return options


class Bench:
    """Each server is new for each round, and warm: compilers at run time need a while."""

    def __init__(self, options, folder):
        self.options = options
        self.folder = folder
        self.numbers = itertools.count()
        self.warm_up_s = 1 if options.quick else 3
        self.generator = Generator(options.build)
        self.makers = {"nginx": lambda: Nginx(self.path("nginx")),
                       "postern": lambda: Postern(self.path("postern"), options.build, MESSAGES)}
        self.tunings, self.tried = {}, {}
        for peer in PEER_SERVERS:
            self.tunings[peer.name] = peer.tunings(machine.cpus())[0]
            self.makers[peer.name] = lambda peer=peer: peer(self.path(f"peer-{next(self.numbers)}"), self.tunings[peer.name])
        self.rounds = {name: {count: [] for count in CONNECTIONS} for name in self.makers}
        self.half_rate, self.syncs_ms = {}, []
        candidates = sum(len(peer.tunings(machine.cpus())) for peer in PEER_SERVERS if len(peer.tunings(machine.cpus())) > 1)
        rounds = len(CONNECTIONS) - 1 + options.rounds
        self.progress = report.Progress(len(self.makers) - 1 + candidates + len(self.makers) * (rounds + 1))

    def path(self, name):
        return os.path.join(self.folder, name)

    def load(self, server, connections, *amount):
        process = self.generator.start(server, MESSAGES, connections, *amount)
        try:
            return self.generator.result(process, server)
        finally:
            end(process)

    def check(self, name):
        """It refuses what is forged, and has as many jobs as it acknowledged events, each once."""
        self.progress.begin(f"{name}: check")
        requests = 300 if name == "webhook" else 3000
        with self.makers[name]() as server:
            forgery.check(server, MESSAGES)
            load = self.load(server, 16, "--requests", str(requests), "--duplicates", "0.1")
            wanted = load["acked"] - load["repeats"] + 1  # and the one that forgery has signed rightly
            counters = server.drain()
            handled = counters["settled"] if name == "postern" else server.handled()
        if load["acked"] != load["requests"] or counters["events"] != wanted or handled < wanted or load["repeats"] == 0:
            raise Failure(f"{name}: of {wanted} different events {counters['events']} were queued and {handled} handled: {load}")
        if handled != wanted and name != "postern":  # which counts a delivery for each handler
            raise Failure(f"{name}: {wanted} different events were handled {handled} times")
        self.progress.done(f"{counters['events']:,} events of {load['acked']:,} acknowledged requests")

    def measure(self, name, connections, what, *options, seconds=None):
        self.progress.begin(f"{name}: {what}")
        with self.makers[name]() as server:
            warm = self.load(server, connections, "--duration", str(self.warm_up_s))
            one = measure(self.generator, server, MESSAGES, connections, seconds or self.options.seconds, *options)
            if server.ended():
                raise Failure(f"{name}: {server.ended()} ended meanwhile:\n{server.log_tail()}")
            counters = server.counters()
            acked, unknown = warm["acked"] + one.acked, warm["unacked"] + one.unacked
            if counters and not acked <= counters["events"] <= acked + unknown:
                raise Failure(f"{name}: {acked} acknowledged, {unknown} under way at the end, but {counters['events']} queued")
        one.server = name
        self.progress.done(f"{one.requests_per_s:,.0f}/s, p99 {report.milliseconds(one.p99_us)}")
        return one

    def tune(self, peer):
        """The fastest of its honest settings."""
        candidates = peer.tunings(machine.cpus())
        if len(candidates) == 1:
            return
        self.tried[peer.name] = []
        for candidate in candidates:
            self.tunings[peer.name] = candidate
            one = self.measure(peer.name, BAR_CONNECTIONS, f"trying {candidate}", seconds=min(5, self.options.seconds))
            self.tried[peer.name].append({**candidate, "acks_per_s": one.requests_per_s})
        best = max(range(len(candidates)), key=lambda i: self.tried[peer.name][i]["acks_per_s"])
        self.tunings[peer.name] = candidates[best]

    def sync(self):
        self.syncs_ms += machine.sync_ms(self.folder, os.fdatasync, COMMIT_BYTES, 200)

    def run(self):
        for name in self.makers:
            if name != "nginx":
                self.check(name)
        for peer in PEER_SERVERS:
            self.tune(peer)
        for connections in CONNECTIONS:
            rounds = self.options.rounds if connections == BAR_CONNECTIONS else 1
            for number in range(rounds):
                for name in self.makers:
                    what = f"{report.counted(connections)}, round {number + 1} of {rounds}"
                    if connections == 1:
                        self.sync()
                    self.rounds[name][connections].append(self.measure(name, connections, what))
        for name in self.makers:
            rate = self.shown(name, BAR_CONNECTIONS).requests_per_s / 2
            self.half_rate[name] = self.measure(name, BAR_CONNECTIONS, f"{rate:,.0f}/s offered", "--rate", str(rate))

    def shown(self, name, connections):
        rounds = sorted(self.rounds[name][connections], key=lambda one: one.requests_per_s)
        return rounds[(len(rounds) - 1) // 2]

    def over(self, name):
        """The median of Postern's ratios to it, round by round."""
        pairs = zip(self.rounds["postern"][BAR_CONNECTIONS], self.rounds[name][BAR_CONNECTIONS])
        return statistics.median(ours.requests_per_s / theirs.requests_per_s for ours, theirs in pairs)

    def bars(self):
        sync_us = statistics.median(self.syncs_ms) * 1000
        p50 = {name: self.shown(name, 1).p50_us for name in ("nginx", "postern")}
        half, peak = self.half_rate["postern"], self.shown("postern", BAR_CONNECTIONS).requests_per_s
        least = ((f"acks/s over nginx, {BAR_CONNECTIONS} connections", self.over("nginx"), LEAST_OVER_NGINX),
                 (f"over {Express.name}", self.over(Express.name), LEAST_OVER_EXPRESS),
                 (f"over {Celery.name}", self.over(Celery.name), LEAST_OVER_CELERY))
        most = ((f"one connection: p50 of {p50['postern']} us over nginx's {p50['nginx']} us and a fdatasync of {sync_us:.0f} us",
                 p50["postern"] / (p50["nginx"] + sync_us), MOST_OVER_ONE_SYNC),
                (f"p99 in ms at half of the peak: {peak / 2:,.0f}/s offered, {half.requests_per_s:,.0f}/s acknowledged",
                 half.p99_us / 1000, MOST_P99_MS))
        bars = [{"name": name, "value": value, "wanted": wanted, "met": value >= wanted} for name, value, wanted in least]
        bars += [{"name": name, "value": value, "wanted": wanted, "most": True, "met": value <= wanted} for name, value, wanted in most]
        bars[-1]["met"] &= half.requests_per_s >= 0.49 * peak  # it has to keep up, too
        return bars

    def versions(self):
        nginx = subprocess.run([Nginx.binary(), "-v"], check=True, stderr=subprocess.PIPE, text=True, process_group=0).stderr
        postern = output(os.path.join(self.options.build, "postern"), "--version")
        found = {"nginx": {"nginx": nginx.strip().rpartition("/")[2]}, "postern": {"Postern": postern.split()[-1]}}
        redis = output("redis-server", "--version").partition("v=")[2].split()[0]
        for peer in PEER_SERVERS:
            found[peer.name] = {**peer.versions(), **({"Redis": redis} if peer in (Express, ExpressEverysec, Celery) else {})}
        return found


def main(arguments):
    options = parse(arguments)
    if options.render:
        with open(options.render, encoding="utf-8") as file:
            peers_report.write(json.load(file))
        return 0

    def work(folder, facts):
        Express.install(os.path.join(session.ROOT, "build", "peers"))
        bench = Bench(options, folder)
        figures = {"mode": "quick" if options.quick else "full", "date": datetime.date.today().isoformat(),
                   "seconds": options.seconds, "rounds_at_bar": options.rounds, "machine": facts, "versions": bench.versions()}
        print("; ".join(f"{name}: " + ", ".join(f"{part} {version}" for part, version in parts.items())
                        for name, parts in figures["versions"].items()), flush=True)
        bench.run()
        figures |= {"fdatasync_ms": statistics.median(bench.syncs_ms), "commit_bytes": COMMIT_BYTES, "tried": bench.tried,
                    "tunings": bench.tunings, "connections": CONNECTIONS,
                    "shown": {name: {count: vars(bench.shown(name, count)) for count in CONNECTIONS} for name in bench.makers},
                    "rounds": {name: {count: [vars(one) for one in rounds] for count, rounds in each.items()}
                               for name, each in bench.rounds.items()},
                    "half_rate": {name: vars(one) for name, one in bench.half_rate.items()}, "bars": bench.bars()}
        figures = json.loads(json.dumps(figures))  # as --render reads it
        if options.json:
            session.write_json(options.json, figures)
        print(peers_report.tables(figures))
        report.print_bars(figures["bars"], not options.quick)
        if options.write:
            peers_report.write(figures)
        return 0 if options.quick or all(bar["met"] for bar in figures["bars"]) else 1

    lacking = session.missing(options.build, "plugins/openphone.so") or missing()
    if not lacking and not Nginx.binary():
        lacking = "nginx is not installed; packaging/install-dependencies.sh bench installs it"
    return session.run("peers.sh", options, lacking, 12 * session.GIB, work)


sys.exit(main(sys.argv[1:]))
