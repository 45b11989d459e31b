"""tests/bench/voice.sh: phone calls at once through Postern, and through the bridge that one would write in Node instead."""

import argparse
import datetime
import os
import shutil
import statistics
import sys

import report
import session
import voice_report
from servers import Failure
from voice_servers import RAMP, NodeBridge, VoicePostern, measure

CALLS = (1, 100, 500, 800)
LEAST_CALLS = 500  # without a lost frame
MOST_P99_MS = {100: 3, 500: 10}
MOST_KIB = 64  # for a call
MOST_BARGE_IN_MS = 2
LEAST_OVER_NODE = 5
# The comparison at an equal p99: what each takes of these numbers of calls, and the most with none lost and at most so much added.
LADDERS = {"postern": (200, 400, 500, 600, 700, 800, 900, 1000), "node": (40, 80, 120, 160, 200, 240, 280, 320, 360, 400)}
EQUAL_P99_MS = (0.5, 1, 3, 10)
MEMORY_CALLS, BARGE_IN_CALLS = 500, 100


def parse(arguments):
    parser = argparse.ArgumentParser(
        prog="tests/bench/voice.sh", description=__doc__.partition(": ")[2],
        epilog="Exit: 0 measured (and in full mode every bar met), 1 a bar missed or the measurement failed, 2 wrong usage or something "
               "is missing. First: packaging/install-dependencies.sh bench, cmake --preset release && cmake --build --preset release")
    parser.add_argument("calls", nargs="*", type=int, metavar="CALLS", help=f"calls at once (default: {' '.join(map(str, CALLS))})")
    parser.add_argument("--quick", action="store_true", help="3 s a phase, one round, coarse steps; a missed bar is not an error")
    parser.add_argument("--json", metavar="FILE", help="write all figures to FILE")
    parser.add_argument("--write", action="store_true", help="write the tables into README.md")
    parser.add_argument("--build", metavar="DIR", default=session.RELEASE, help="the build that is measured (default: build/release)")
    parser.add_argument("--seconds", type=float, help="of each measurement (default: 10, quick: 3)")
    parser.add_argument("--rounds", type=int, help="for each number of calls; the median p99 counts (default: 3, quick: 1)")
    parser.add_argument("--processes", type=int, nargs="+", default=[1], metavar="N",
                        help="processes of the Node bridge; of several numbers the best counts (default: 1, as in the sample)")
    parser.add_argument("--no-peer", action="store_true", help="Postern alone")
    options = parser.parse_args(arguments)
    options.calls = sorted(set(options.calls or CALLS))
    options.seconds = options.seconds or (3 if options.quick else 10)
    options.rounds = options.rounds or (1 if options.quick else 3)
    if options.seconds < 0.5 or options.rounds < 1 or options.calls[0] < 1 or min(options.processes) < 1:
        parser.error("--seconds is at least 0.5; CALLS, --rounds and --processes are at least 1")
    options.build = os.path.abspath(options.build)
    return options


class Bench:
    """Each measurement has a server of its own."""

    def __init__(self, options, folder):
        self.options = options
        self.folder = folder
        self.number = 0

    def postern(self):
        return VoicePostern(self.path(), self.options.build)

    def path(self):
        self.number += 1
        return os.path.join(self.folder, str(self.number))

    def measure(self, make, calls):
        with make() as server:
            print(f"{server.name}: {calls} calls", end=" … ", file=sys.stderr, flush=True)
            one = measure(self.options.build, server, calls, self.options.seconds)
        told = f"p99 {one['p99_ms']:.2f} ms, {one['lost']:,} lost, generator late by {one['generator']['late_p99_us'] / 1000:.2f} ms"
        if not one["whole"]:
            told += f", {one['talking']} talked, {one['broken']} broke {one['fault']}, the generator sent {one['offered']:.0%} of the frames"
        print(told, file=sys.stderr, flush=True)
        return one

    def tables(self):
        """By number of calls: the round with the median p99, and all of them. One after the other, so that a slow minute hits all."""
        rounds = {calls: [] for calls in self.options.calls}
        for _ in range(self.options.rounds):
            for calls, found in rounds.items():
                found.append(self.measure(self.postern, calls))
        return {calls: {"shown": sorted(found, key=lambda one: one["p99_ms"])[len(found) // 2], "rounds": found}
                for calls, found in rounds.items()}

    def climb(self, make, ladder):
        """Of each number of calls the round with the least p99: a machine hiccups, which is nobody's work. Stops where calls break."""
        steps = []
        for calls in ladder:
            rounds = [self.measure(make, calls) for _ in range(self.options.rounds)]
            steps.append(min(rounds, key=lambda one: (not one["whole"], one["lost"], one["p99_ms"])))
            if not steps[-1]["whole"] or steps[-1]["lost"] or steps[-1]["p99_ms"] > max(EQUAL_P99_MS):
                break
        return steps

    def compare(self):
        """Both climb the same way. Of several numbers of Node's processes, the best counts."""
        NodeBridge.install(os.path.join(session.ROOT, "build", "peers"))
        every = 2 if self.options.quick else 1
        nodes = [self.climb(lambda count=count: NodeBridge(self.path(), count), LADDERS["node"][::every]) for count in self.options.processes]
        postern = self.climb(self.postern, LADDERS["postern"][::every])
        equal = [{"p99_ms": limit, "postern": most_calls(postern, limit), "node": max(most_calls(node, limit) for node in nodes)}
                 for limit in EQUAL_P99_MS]
        return {"postern": postern, "nodes": nodes, "equal": equal, "versions": NodeBridge.versions()}


def most_calls(steps, limit):
    return max((one["calls"] for one in steps if one["whole"] and not one["lost"] and one["p99_ms"] <= limit), default=0)


def bars_of(figures):
    shown = {calls: one["shown"] for calls, one in figures["calls"].items()}
    bars = []

    def add(name, value, wanted, most=True):
        bars.append({"name": name, "value": value, "wanted": wanted, "most": most, "met": value <= wanted if most else value >= wanted})

    without_loss = [calls for calls, one in figures["calls"].items()
                    if all(each["whole"] and each["lost"] == 0 for each in one["rounds"])]
    if max(shown) >= LEAST_CALLS:
        add("calls at once, no frame lost in any round", max(without_loss, default=0), LEAST_CALLS, most=False)
    for calls, wanted in MOST_P99_MS.items():
        if calls in shown:
            add(f"added latency p99 in ms, {calls} calls", shown[calls]["p99_ms"], wanted)
    if MEMORY_CALLS in shown:
        add(f"memory for a call in KiB, {MEMORY_CALLS} calls", statistics.median(
            one["gateway"]["kib_per_call"] for one in figures["calls"][MEMORY_CALLS]["rounds"]), MOST_KIB)
    if BARGE_IN_CALLS in shown:
        add(f"speech_started to clear p99 in ms, {BARGE_IN_CALLS} calls", shown[BARGE_IN_CALLS]["barge_in"]["p99_us"] / 1000,
            MOST_BARGE_IN_MS)
    for equal in figures["compared"]["equal"] if figures["compared"] else []:
        add(f"calls over the Node bridge's, both with a p99 of at most {equal['p99_ms']:g} ms", equal["postern"] / max(1, equal["node"]),
            LEAST_OVER_NODE, most=False)
    return bars


def missing(options):
    lacking = session.missing(options.build, "plugins/twilio.so", "plugins/openai_realtime.so", load="postern_voice_load")
    if lacking or options.no_peer:
        return lacking
    for program, package in (("node", "nodejs"), ("npm", "npm")):
        if not shutil.which(program):
            return f"{program} is not installed; packaging/install-dependencies.sh bench installs {package} (or --no-peer)"
    return None


def main(arguments):
    options = parse(arguments)

    def work(folder, facts):
        bench = Bench(options, folder)
        figures = {"mode": "quick" if options.quick else "full", "seconds": options.seconds, "ramp": RAMP, "machine": facts,
                   "realtime": os.sched_getscheduler(0) in (os.SCHED_FIFO, os.SCHED_RR), "date": datetime.date.today().isoformat(), "calls": bench.tables(),
                   "compared": None if options.no_peer else bench.compare()}
        figures["load_average_after"] = round(os.getloadavg()[0], 2)
        figures["bars"] = bars_of(figures)
        print("\n" + voice_report.tables(figures))
        report.print_bars(figures["bars"], not options.quick)
        if options.json:
            session.write_json(options.json, figures)
        if options.write:
            voice_report.write(figures)
        return 0 if options.quick or all(bar["met"] for bar in figures["bars"]) else 1

    return session.run("voice.sh", options, missing(options), session.GIB, work)


sys.exit(main(sys.argv[1:]))
