"""tests/bench/run.sh: Postern against nginx's `return 200`, with the same generator, the same bytes, in one run."""

import argparse
import os
import sys
import time

import full_store
import report
import session
from measure import CALL_STATUS, CALLS, EMPTY, MESSAGES, Comparison, Generator, measure
from servers import Nginx, Postern

CONNECTIONS = (1, 64, 256, 512)
BAR_CONNECTIONS = 256
LEAST_RATIO = 0.35  # of nginx's rate
LEAST_SETTLED = 0.1  # of the acknowledged events, meanwhile
LEAST_STORED = 0.7  # of the rate with an empty store
LEAST_DRAINED = 0.5  # of the rate at which the same events came in


def parse(arguments):
    parser = argparse.ArgumentParser(
        prog="tests/bench/run.sh", description=__doc__.partition(": ")[2],
        epilog="Exit: 0 measured (and in full mode every bar met), 1 a bar missed or the measurement failed, "
               "2 wrong usage or something is missing. Build first: cmake --preset release && cmake --build --preset release")
    parser.add_argument("--quick", action="store_true",
                        help="3 s a phase and 100,000 stored events; a missed bar is not an error")
    parser.add_argument("--json", metavar="FILE", help="write all figures to FILE")
    parser.add_argument("--build", metavar="DIR", default=session.RELEASE,
                        help="the build that is measured (default: build/release)")
    parser.add_argument("--seconds", type=float, help="of each phase (default: 10, quick: 3)")
    parser.add_argument("--stored", type=int, help="events in the full store (default: 1,000,000, quick: 100,000)")
    parser.add_argument("--rounds", type=int, default=3, help="at 256 connections; the median counts (default: 3)")
    options = parser.parse_args(arguments)
    options.seconds = options.seconds or (3 if options.quick else 10)
    options.stored = options.stored or (100_000 if options.quick else 1_000_000)
    if options.seconds < 0.5 or options.stored < 1 or options.rounds < 1:
        parser.error("--seconds is at least 0.5, --stored and --rounds at least 1")
    options.build = os.path.abspath(options.build)
    return options


def missing(build):
    lacking = session.missing(build, "plugins/openphone.so", "tests/plugins/empty.so")
    return lacking or (None if Nginx.binary() else "nginx is not installed; packaging/install-dependencies.sh test installs it")


class Bench:
    """The phases, in order. Each server but the full one is new for each round."""

    def __init__(self, options, folder, with_twilio):
        self.options = options
        self.folder = folder
        self.with_twilio = with_twilio
        self.generator = Generator(options.build)
        self.fill = None
        pairs = len(CONNECTIONS) - 1 + options.rounds * (4 if with_twilio else 2)
        self.drained = []
        self.progress = report.Progress(2 * pairs + options.rounds + 2)

    def nginx(self):
        return Nginx(os.path.join(self.folder, "nginx"))

    def postern(self, traffic):
        return Postern(os.path.join(self.folder, "postern"), self.options.build, traffic)

    def measure(self, server, traffic, connections, what):
        self.progress.begin(what)
        one = measure(self.generator, server, traffic, connections, self.options.seconds)
        self.progress.done(f"{one.requests_per_s:,.0f}/s")
        return one

    def against_nginx(self, traffic, connections):
        comparison = Comparison(traffic.title, connections, ("nginx", "postern"))
        rounds = self.options.rounds if connections == BAR_CONNECTIONS else 1
        for number in range(rounds):
            what = f"{traffic.title}, {report.counted(connections)}, round {number + 1} of {rounds}"
            pair = []
            for server in (self.nginx(), self.postern(traffic)):
                with server:
                    pair.append(self.measure(server, traffic, connections, f"{server.name}: {what}"))
            comparison.rounds.append(tuple(pair))
        return comparison

    def full_store(self):
        comparison, self.fill = full_store.compare(
            lambda name: Postern(os.path.join(self.folder, name), self.options.build, MESSAGES), self.generator, self.progress,
            lambda server, what: self.measure(server, MESSAGES, BAR_CONNECTIONS, what), self.options.stored, BAR_CONNECTIONS,
            self.options.rounds)
        return comparison

    def drain(self):
        """What a delivery costs from queued to settled: an empty handler works off what came in under full load."""
        for number in range(self.options.rounds):
            with self.postern(EMPTY) as server:
                self.progress.begin(f"postern: drain, round {number + 1} of {self.options.rounds}")
                load = measure(self.generator, server, EMPTY, BAR_CONNECTIONS, self.options.seconds)
                begin, before = time.monotonic(), server.counters()
                after = server.drain(lambda queued: self.progress.tell(f"{queued:,} left"))
                rate = (after["settled"] - before["settled"]) / (time.monotonic() - begin)
                if before["queued"] == 0:  # it kept up
                    rate = load.settled_per_s
                self.drained.append({"acks_per_s": load.requests_per_s, "settled_meanwhile_per_s": load.settled_per_s,
                                     "queued": before["queued"], "settled_per_s": rate, "ratio": rate / load.requests_per_s})
                self.progress.done(f"{rate:,.0f}/s after {load.requests_per_s:,.0f}/s")

    def run(self):
        comparisons = [self.against_nginx(MESSAGES, connections) for connections in CONNECTIONS]
        if self.with_twilio:
            comparisons += [self.against_nginx(traffic, BAR_CONNECTIONS) for traffic in (CALLS, CALL_STATUS)]
        self.drain()
        comparisons.append(self.full_store())
        return comparisons


def median_of(drained):
    return sorted(drained, key=lambda one: one["ratio"])[(len(drained) - 1) // 2]


def bars_of(comparisons, drained):
    bar = next(one for one in comparisons if one.title == MESSAGES.title and one.connections == BAR_CONNECTIONS)
    stored = comparisons[-1]
    values = ((f"ratio to nginx at {BAR_CONNECTIONS} connections", bar.ratio, LEAST_RATIO),
              ("settled events for each acknowledged one meanwhile", bar.shown[1].settled_share or 0.0, LEAST_SETTLED),
              ("rate with a full store to that with an empty one", stored.ratio, LEAST_STORED),
              ("drain with an empty handler to the rate at which it came in", median_of(drained)["ratio"], LEAST_DRAINED))
    return [{"name": name, "value": value, "wanted": wanted, "met": value >= wanted} for name, value, wanted in values]


def print_report(bench, comparisons, bars):
    messages = [one for one in comparisons if one.title == MESSAGES.title]
    report.print_table(f"{MESSAGES.title}, empty store; the ratio is Postern's rate to nginx's", messages)
    for one in comparisons[len(messages):-1]:
        report.print_table(f"{one.title}, empty store", [one])
    if not bench.with_twilio:
        print("\ntwilio: not measured, since the build has no plugins/twilio.so")
    full_store.print_full_store(comparisons[-1], bench.fill)
    report.print_drain(bench.drained, median_of(bench.drained))
    report.print_bars(bars, not bench.options.quick)


def main(arguments):
    options = parse(arguments)

    def work(folder, facts):
        bench = Bench(options, folder, os.path.exists(os.path.join(options.build, "plugins", "twilio.so")))
        comparisons = bench.run()
        bars = bars_of(comparisons, bench.drained)
        print_report(bench, comparisons, bars)
        if options.json:
            session.write_json(options.json, {
                "mode": "quick" if options.quick else "full", "seconds": options.seconds, "machine": facts, "fill": bench.fill,
                "drain": bench.drained, "comparisons": [one.as_json() for one in comparisons], "bars": bars})
        return 0 if options.quick or all(bar["met"] for bar in bars) else 1

    return session.run("run.sh", options, missing(options.build), full_store.disk_bytes(options.stored), work)


sys.exit(main(sys.argv[1:]))
