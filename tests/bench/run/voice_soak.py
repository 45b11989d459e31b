"""tests/bench/voice_soak.sh: phone calls for a long time, cut off at random on both sides: whether anything is left behind."""

import argparse
import os
import statistics
import sys
import threading
import time

import report
import session
from measure import CALL_STATUS, Generator
from voice_servers import VoicePostern, measure

EVERY_S = 5
MOST_GROWTH = 0.05  # of the resident memory, from the end of the first quarter to the end
LEFT_S = 5  # after the last call, for what ends late
# Stored before the first call: the store's cache grows with the store until it is full, and an hour of calls would not fill it.
STORED = 60_000


def parse(arguments):
    parser = argparse.ArgumentParser(
        prog="tests/bench/voice_soak.sh", description=__doc__.partition(": ")[2],
        epilog="Exit: 0 nothing was left behind, 1 something was, or it could not be measured, 2 wrong usage or something is missing")
    parser.add_argument("--calls", type=int, default=200, help="at once (default: 200)")
    parser.add_argument("--minutes", type=float, default=60, help="(default: 60)")
    parser.add_argument("--drop", type=float, default=0.25, help="seconds between two connections that are cut off (default: 0.25)")
    parser.add_argument("--json", metavar="FILE", help="write all figures to FILE")
    parser.add_argument("--build", metavar="DIR", default=session.RELEASE, help="the build that is tried (default: build/release)")
    options = parser.parse_args(arguments)
    options.build = os.path.abspath(options.build)
    options.quick = False
    return options


def rss_mib(pids):
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
            total += sum(int(line.split()[1]) for line in file if line.startswith("VmRSS:"))
    return total / 1024


def sockets(pids):
    count = 0
    for pid in pids:
        for name in os.listdir(f"/proc/{pid}/fd"):
            try:
                count += os.readlink(f"/proc/{pid}/fd/{name}").startswith("socket:")
            except FileNotFoundError:
                pass  # closed meanwhile
    return count


def fill_store(server, build):
    """With events that are handled, and gone from memory but for the cache."""
    generator = Generator(build)
    generator.result(generator.start(server, CALL_STATUS, 16, "--requests", str(STORED)), server)


class Watch(threading.Thread):
    """Looks at the gateway's memory every few seconds."""

    def __init__(self, pids):
        super().__init__(daemon=True)
        self.pids = pids
        self.begin = time.monotonic()
        self.samples = []
        self.stopped = threading.Event()

    def run(self):
        told = 0
        while not self.stopped.wait(EVERY_S):
            seconds = time.monotonic() - self.begin
            self.samples.append((round(seconds, 1), round(rss_mib(self.pids), 1), sockets(self.pids)))
            if seconds - told >= 60:
                told = seconds
                print(f"{seconds / 60:5.1f} min  {self.samples[-1][1]:7.1f} MiB  {self.samples[-1][2]} sockets", file=sys.stderr, flush=True)


def growth(samples):
    """Of the last eighth over the eighth that ends with the first quarter: what is warm by then stays as it is."""
    eighth = max(1, len(samples) // 8)
    early = statistics.median(sample[1] for sample in samples[eighth:2 * eighth] or samples[:1])
    late = statistics.median(sample[1] for sample in samples[-eighth:])
    return late / early - 1, early, late


def main(arguments):
    options = parse(arguments)

    def work(folder, facts):
        with VoicePostern(os.path.join(folder, "gateway"), options.build) as server:
            fill_store(server, options.build)
            pids = server.pids()
            idle = sockets(pids)
            watch = Watch(pids)
            watch.start()
            one = measure(options.build, server, options.calls, options.minutes * 60, ["--drop", str(options.drop)])
            watch.stopped.set()
            watch.join()
            time.sleep(LEFT_S)
            left = sockets(pids) - idle
        grown, early, late = growth(watch.samples)
        figures = {"machine": facts, "calls": options.calls, "minutes": options.minutes, "begun": one["begun"], "dropped": one["dropped"],
                   "rss_mib": {"early": early, "late": late}, "sockets_left": left, "load": one, "samples": watch.samples}
        figures["bars"] = [
            {"name": "growth of the resident memory", "value": abs(grown), "wanted": MOST_GROWTH, "most": True, "met": abs(grown) <= MOST_GROWTH},
            {"name": "sockets left open, of sessions that are stuck", "value": left, "wanted": 0, "most": True, "met": left <= 0}]
        print(f"\n{one['begun']} calls, {one['dropped']} connections cut off, {early:.1f} MiB early, {late:.1f} MiB late, {left} sockets left open")
        report.print_bars(figures["bars"], True)
        if options.json:
            session.write_json(options.json, figures)
        return 0 if all(bar["met"] for bar in figures["bars"]) else 1

    lacking = session.missing(options.build, "plugins/twilio.so", "plugins/openai_realtime.so", load="postern_voice_load")
    return session.run("voice_soak.sh", options, lacking, session.GIB, work)


sys.exit(main(sys.argv[1:]))
