#!/usr/bin/env python3
"""Sends every case of the corpus through a real nginx and a real haproxy, each as strict and as lax as it can be set, and compares how many
requests the proxy sent on (its log) with how many the gateway saw (its answers, on the wire between them, and its stored events).

The attack to be ruled out: the gateway sees other requests than the proxy has sent. After each case a request of somebody else goes the
same way, over the same connections to the gateway, and has to get its own answer.
With --control the gateway takes chunked bodies for requests, and has to be convicted; not behind nginx as it comes, which reads each body
whole and sends it on with its length.
Exit status: 0 no difference, 1 there is one, 77 a proxy is not installed.
"""

import argparse
import os
import shutil
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import corpus
import exchange
from corpus import END
from exchange import Broken, Connection, follow_up
from fronts import Front
from wire_gateway import Failure, WireGateway, eventually

SKIPPED = 77
LANES = 24
QUIET, PATIENCE = 0.15, 0.6  # seconds without a byte after which a case is over; how long an answer may be owed
AGAIN = 20  # so many times as long, for whatever differs: a busy machine is no finding
FRONTS = (("nginx", False), ("nginx-lax", True), ("haproxy", False), ("haproxy-lax", True))
BROKEN = "skip_chunks"
SENDS_NO_CHUNKS = "nginx"


class Passage:
    """One case through one lane; `seen`: the statuses that the gateway answered with."""

    def __init__(self, number, case, attempt):
        self.number, self.case, self.attempt = number, case, attempt
        self.source = f"127.{10 + attempt}.{number // 250}.{1 + number % 250}"  # what the log knows it by
        self.seen = []
        self.strangers = ""

    def identity(self, event):
        return f"{self.attempt}.{self.number}.{event}"

    def run(self, lane, slowness):
        port, tap = lane
        tap.take()
        with Connection(("127.0.0.1", port), source=(self.source, 0)) as connection:
            for piece in self.case.pieces(self.identity):
                if piece == END:
                    connection.end()
                elif isinstance(piece, bytes):
                    connection.send(piece)
            self._until_quiet(connection, tap, slowness)
        eventually(PATIENCE * slowness, lambda: not tap.waits(), 0.01)
        self._stranger(port)
        self.seen = tap.take()
        if 200 in self.seen:
            self.seen.remove(200)  # the stranger's
        else:
            self.strangers = self.strangers or "the answer that a stranger got was none of the gateway's"
        return self

    @staticmethod
    def _until_quiet(connection, tap, slowness):
        last = time.monotonic()
        while True:
            came = connection.more_within(QUIET * slowness / 3)
            if came is None:
                return
            now = time.monotonic()
            last = now if came else max(last, tap.moved)
            if now - last > (PATIENCE if tap.waits() else QUIET) * slowness:
                return

    def _stranger(self, port):
        nonce = f"stranger {self.identity(0)}".encode()
        try:
            with Connection(("127.0.0.1", port)) as connection:
                connection.send(follow_up(nonce))
                answer = connection.answer()
            if answer is None or answer.status != 200 or answer.body != nonce:
                self.strangers = f"a stranger behind it got {answer}"
        except (Broken, OSError) as why:
            self.strangers = f"a stranger behind it got no answer: {why}"

    def difference(self, forwarded, events):
        """What the proxy and the gateway do not agree on; empty where they do."""
        aborted = sum(request.aborted for request in forwarded)
        if self.strangers:
            return self.strangers
        if len(self.seen) > len(forwarded):
            return f"the gateway saw {len(self.seen)} requests {self.seen} where {len(forwarded)} were sent on"
        if len(self.seen) < len(forwarded) - aborted:
            return f"the gateway saw {len(self.seen)} requests {self.seen} where {len(forwarded)} were sent on, {aborted} of them not to the end"
        if not aborted and Counter(self.seen) != Counter(request.status for request in forwarded):
            return f"the gateway answered {self.seen}, and the proxy took it for {[request.status for request in forwarded]}"
        if events > self.seen.count(200) + aborted:  # whose answer had nobody to go to
            return f"{events} events are stored, and {self.seen.count(200)} requests were answered 200"
        return ""


def lane_runs(passages, lane, slowness):
    for passage in passages:
        passage.run(lane, slowness)


def attempt(front, gateway, cases, number, slowness, lanes):
    """All cases, each lane with its share; those on which the two differ, with how."""
    passages = [Passage(at, case, number) for at, case in cases]
    with ThreadPoolExecutor(lanes) as pool:
        for done in [pool.submit(lane_runs, passages[n::lanes], front.lanes[n], slowness) for n in range(lanes)]:
            done.result()
    if not front.running() or not gateway.running():
        raise Failure(f"{front.name if gateway.running() else 'the gateway'} has ended\n{gateway.log_tail()}")
    forwarded = front.forwarded()
    events = Counter(identity.rpartition(".")[0] for identity, _ in gateway.stored())
    requests = sum(len(forwarded.get(passage.source, [])) for passage in passages)
    found = []
    for passage in passages:
        if how := passage.difference(forwarded.get(passage.source, []), events[f"{number}.{passage.number}"]):
            found.append((passage.number, passage.case, how))
    return requests, found


def through(name, loose, options, cases):
    binary = os.path.join(options.build, f"tests/fault/postern_broken_{BROKEN}" if options.control else "postern")
    if not os.access(binary, os.X_OK):
        raise Failure(f"there is no {binary}: build it first, with -DPOSTERN_TESTS=ON")
    begin = time.monotonic()
    with WireGateway(options.build, binary, keep=options.keep) as gateway:
        gateway.start()
        with Front(name, gateway.folder, gateway.port, LANES, loose) as front:
            requests, found = attempt(front, gateway, list(enumerate(cases)), 0, 1, LANES)
            if found and not options.control:
                _, found = attempt(front, gateway, [(at, case) for at, case, _ in found], 1, AGAIN, min(LANES, len(found)))
    for _, case, how in found[:3 if options.control else 20]:
        print(f"{name}: {case.name}: {how}", file=sys.stderr)
    print(f"wire proxies: {name}: {len(cases)} cases, {requests} requests sent on, {len(found)} differ ({time.monotonic() - begin:.0f} s)")
    return requests, found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build/release", help="where `postern` was built; default: %(default)s")
    parser.add_argument("--control", action="store_true", help=f"against postern_broken_{BROKEN}")
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--front", choices=[name for name, _ in FRONTS], help="one of them alone")
    parser.add_argument("--keep", action="store_true", help="keep the folders with the proxies' logs")
    options = parser.parse_args()
    options.build = os.path.abspath(options.build)
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    if missing := [proxy for proxy in ("nginx", "haproxy") if not shutil.which(proxy)]:
        print(f"wire proxies: SKIPPED: {' and '.join(missing)} not installed; packaging/install-dependencies.sh test installs it")
        return SKIPPED
    wrong = []
    try:
        # What is cut is for the gateway itself; of each rule the proxies see every eighth cut.
        cases = [case for at, case in enumerate(corpus.load()) if options.only in case.name and (not case.generated or at % 8 == 0)]
        for name, loose in FRONTS:
            if options.front in (None, name) and not (options.control and name == SENDS_NO_CHUNKS):
                requests, found = through(name, loose, options, cases)
                if not requests or bool(found) != options.control:
                    wrong.append(name)
    except (Failure, corpus.Malformed) as why:
        wrong.append(str(why))
    what = f"the control passed behind {', '.join(wrong)}" if options.control else f"differences behind {', '.join(wrong)}"
    print(f"wire proxies{' control' if options.control else ''}: {'FAILED: ' + what if wrong else 'ok'}")
    return 1 if wrong else 0


if __name__ == "__main__":
    exchange.SECONDS = 60
    sys.exit(main())
