#!/usr/bin/env python3
"""Sends every case of the corpus (cases/*.txt) to a real gateway, whole, byte by byte and at random cuts, many at once, and compares what
is answered, whether the connection lives on, and what is stored; README.md here has the format.

After each case that ends its connection, a good request on a new one has to be answered. With --control the gateway is one that is broken
on purpose, for each way to be broken, and the corpus has to convict it.
Exit status: 0 as expected, 1 not.
"""

import argparse
import os
import random
import ssl
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import corpus
import exchange
from exchange import CUTS, Broken, Connection, Exchange
from wire_gateway import PATIENT, SHORT, Failure, WireGateway

LANES, LATE_LANES = 48, 256  # connections at once; those that wait for a deadline do nothing else
MOST_MIB = 160  # of memory at the worst moment; all that is sent at once is a fraction of it
TOLD = 20
HEALTH = b"GET /health HTTP/1.1\r\nHost: wire.test\r\n\r\n"

# What each broken build must be convicted of: a case and what is wrong with it. Others may fail as well.
CONTROLS = {
    "trust_length": ("smuggling/cl-te length before coding", "stored"),
    "skip_chunks": ("chunked/one chunk", "answers"),
    "bare_lf": ("fields/bare LF everywhere", "answers"),
}


class Run:
    """The corpus against one binary, over plain or TLS."""

    def __init__(self, options, binary, cuts):
        self.options, self.binary, self.cuts = options, binary, cuts
        self.faults = []  # (case name, kind, text)
        self.exchanges = 0
        self.peak = 0.0
        self.context = None

    def fault(self, name, kind, text):
        self.faults.append((name, kind, text))

    def run(self, cases):
        late = [case for case in cases if case.late]
        self._gateway(late, ["whole"], SHORT, LATE_LANES)
        self._gateway([case for case in cases if not case.late], self.cuts, PATIENT, LANES)

    def _gateway(self, cases, cuts, deadlines, lanes):
        if not cases:
            return
        with WireGateway(self.options.build, self.binary, deadlines, self.options.tls, self.options.keep) as gateway:
            gateway.start()
            if self.options.tls:
                self.context = ssl.create_default_context(cafile=os.path.join(gateway.folder, "certificate.pem"))
            self.address = ("127.0.0.1", gateway.tls_port if self.options.tls else gateway.port)
            jobs = [(number, case, cut) for cut in cuts for number, case in enumerate(cases) if not (case.generated and cut == "random")]
            with ThreadPoolExecutor(lanes) as pool:
                done = list(pool.map(self._job, jobs))
            self.exchanges += len(done)
            self._events(gateway, done)
            self.peak = max(self.peak, gateway.peak_mib())
            if not gateway.running():
                raise Failure(f"the gateway has ended\n{gateway.log_tail()}")
            if (status := gateway.stop()) != 0:
                self.fault("the gateway", "stop", f"exit status {status}\n{gateway.log_tail()}")

    def _job(self, job):
        number, case, cut = job
        done = Exchange(case, cut, self.options.seed, lambda event: f"{cut[0]}.{number}.{event}").run(self.address, self.context)
        if done.fault:
            self.fault(case.name, "answers", f"{cut}: {done.fault}")
        if case.ending == "close":
            self._still_answers(case, cut)
        return number, case, cut

    def _still_answers(self, case, cut):
        try:
            with Connection(self.address, self.context) as connection:
                connection.send(HEALTH)
                answer = connection.answer()
            if answer is None or answer.status != 200:
                self.fault(case.name, "afterwards", f"{cut}: GET /health is answered {answer}")
        except (Broken, OSError) as why:
            self.fault(case.name, "afterwards", f"{cut}: GET /health: {why}")

    def _events(self, gateway, done):
        """Each case has stored as many events as it says, with the bytes that were sent, and nobody any other."""
        stored = gateway.stored()
        counts = Counter(identity.rpartition(".")[0] for identity, _ in stored)
        for identity, body in stored:
            if body != corpus.event_body(identity):
                self.fault(identity, "stored", f"the stored body is not the one that was sent: {body!r}")
        for number, case, cut in done:
            was = counts.pop(f"{cut[0]}.{number}", 0)
            if was != case.events:
                self.fault(case.name, "stored", f"{cut}: {was} events are stored instead of {case.events}")
        for unknown, was in counts.items():
            self.fault(unknown, "stored", f"{was} events that no case has sent")


def options_of():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build/release", help="where `postern` was built; default: %(default)s")
    parser.add_argument("--tls", action="store_true", help="over TLS")
    parser.add_argument("--sanitized", action="store_true", help="the build takes memory for its sanitizer: none of it is counted")
    parser.add_argument("--control", action="store_true", help="against the builds that are broken on purpose")
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--cut", choices=CUTS, help="one way to cut the bytes alone")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32), help="of the random cuts; printed when it fails")
    parser.add_argument("--keep", action="store_true", help="keep the gateways' folders")
    options = parser.parse_args()
    options.build = os.path.abspath(options.build)
    return options


def binary_of(options, kind=""):
    binary = os.path.join(options.build, f"tests/fault/postern_broken_{kind}" if kind else "postern")
    if not os.access(binary, os.X_OK):
        raise Failure(f"there is no {binary}: build it first, with -DPOSTERN_TESTS=ON")
    return binary


def selected(options):
    cases = [case for case in corpus.load() if options.only in case.name]
    if not cases:
        raise Failure(f"no case has {options.only!r} in its name")
    return cases


def main_run(options):
    begin = time.monotonic()
    cases = selected(options)
    run = Run(options, binary_of(options), [options.cut] if options.cut else CUTS)
    run.run(cases)
    if run.peak > MOST_MIB and not options.sanitized:
        run.fault("the gateway", "memory", f"it took {run.peak:.0f} MiB at its worst moment; at most {MOST_MIB} are fine")
    for name, _, text in run.faults[:TOLD]:
        print(f"{name}: {text}", file=sys.stderr)
    if len(run.faults) > TOLD:
        print(f"and {len(run.faults) - TOLD} more", file=sys.stderr)
    lines = sum(not case.generated for case in cases)
    verdict = f"FAILED: {len(run.faults)} faults, --seed {options.seed}" if run.faults else "ok"
    print(f"wire {'tls' if options.tls else 'plain'}: {verdict}: {lines} cases and {len(cases) - lines} made by rules, {run.exchanges} connections, "
          f"{run.peak:.0f} MiB at most ({time.monotonic() - begin:.0f} s)")
    return 1 if run.faults else 0


def main_control(options):
    """Each broken build is sent the cases of the theme that knows it."""
    missed = []
    exchange.SECONDS = 5  # what a broken reader leaves open would be waited for
    for kind, (name, wrong) in CONTROLS.items():
        options.only = name.partition("/")[0]
        run = Run(options, binary_of(options, kind), ["whole"])
        run.run(selected(options))
        found = [text for case, what, text in run.faults if case == name and what == wrong]
        print(f"wire control: {kind}: " + (f"convicted by {len({case for case, _, _ in run.faults})} cases; {name}: {found[0]}" if found
                                           else f"NOT convicted by {name}"))
        if not found:
            missed.append(kind)
    print(f"wire control: {'FAILED: the corpus does not notice ' + ', '.join(missed) if missed else 'ok'}")
    return 1 if missed else 0


def main():
    options = options_of()
    try:
        return main_control(options) if options.control else main_run(options)
    except (Failure, corpus.Malformed) as why:
        print(f"wire: FAILED: {why}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
