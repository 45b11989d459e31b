"""What every fault test is: a number, a build, findings, one line with the figures at the end, and a positive control.

With --control the test runs against a build that is broken on purpose (core/base/broken.h) and passes when it finds what that build does
wrong: a test that passes both builds proves nothing.
"""

import argparse
import os
import random
import sys
import time
from dataclasses import dataclass

from gateway import Failure

SKIPPED = 77  # as ctest has it
CONTROL_CYCLES = 30


class Skip(Exception):
    """This machine cannot run the test; says why."""


class _Enough(Exception):
    """A control has found what it looked for."""


@dataclass(frozen=True)
class Bar:
    """`expected`: what the broken build is to be convicted of."""

    title: str
    counted: str  # what the number counts
    full: int
    broken: str
    expected: frozenset
    description: str


class Test:
    def __init__(self, bar, options):
        self.bar = bar
        self.number = options.number
        self.is_control = options.control
        self.timed = options.timed
        self.variant = getattr(options, "variant", None)
        self.keep = options.keep
        self.build = os.path.abspath(options.build)
        self.binary = os.path.join(self.build, f"tests/fault/postern_broken_{bar.broken}" if options.control and bar.broken else "postern")
        self.seed = options.seed
        self.random = random.Random(options.seed)
        self.findings = []
        self._told = 0.0
        if not os.access(self.binary, os.X_OK):
            raise Failure(f"there is no {self.binary}: build it first, with -DPOSTERN_TESTS=ON")

    def find(self, kind, text):
        """Something is not as promised."""
        self.findings.append((kind, text))
        if self.is_control and kind in self.bar.expected:
            raise _Enough
        if not self.is_control and len(self.findings) <= 20:
            print(f"{self.bar.title}: {kind}: {text}", file=sys.stderr)

    def cycles(self):
        """From 1 on. A control has more of them: it ends with its first find, which may need some luck."""
        return range(1, (max(self.number, CONTROL_CYCLES) if self.is_control else self.number) + 1)

    def patience(self, promised, otherwise):
        """Seconds to wait for something: what is promised with --timed, else what holds on a busy machine too."""
        return promised if self.timed else otherwise

    def bar_of_time(self, seconds, most, what):
        """A promised time; checked only with --timed, since it means nothing on a busy machine."""
        if self.timed and seconds > most:
            self.find("late", f"{what} took {seconds * 1000:.0f} ms; promised: {most * 1000:.0f} ms")

    def progress(self, done, text=""):
        if not sys.stderr.isatty():
            return
        now = time.monotonic()
        if now - self._told > 0.2:
            self._told = now
            print(f"\r\033[K{self.bar.title}: {done} of {self.number} {self.bar.counted} {text}", end="", file=sys.stderr, flush=True)

    def end_of_progress(self):
        if sys.stderr.isatty():
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def options_of(bar, variants):
    parser = argparse.ArgumentParser(description=bar.description, formatter_class=argparse.RawDescriptionHelpFormatter,
                                     epilog="Exit status: 0 as promised (with --control: the fault was found), 1 not, 77 cannot run here.")
    parser.add_argument("number", nargs="?", type=int, default=bar.full, help=f"how many {bar.counted}; default, the full form: {bar.full}")
    parser.add_argument("--build", default="build/release", help="where `postern` was built; default: %(default)s")
    control = f"against postern_broken_{bar.broken}" if bar.broken else "against the control that the description names"
    parser.add_argument("--control", action="store_true", help=f"run {control}, which has to fail")
    parser.add_argument("--timed", action="store_true", help="promised times count as well; leave the machine alone meanwhile")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32), help="of what is random; printed when it fails")
    parser.add_argument("--keep", action="store_true", help="keep the gateway's folder")
    for name, text in variants.items():
        parser.add_argument(f"--{name}", dest="variant", action="store_const", const=name, help=text)
    options = parser.parse_args()
    if options.number < 1:
        parser.error("the number must be at least 1")
    return options


def main(bar, run, variants=()):
    """`run(test)` does the work and returns the figures for the last line. `variants`: more flags, of which test.variant has the last."""
    options = options_of(bar, dict(variants))
    begin = time.monotonic()
    test = None
    try:
        test = Test(bar, options)
        figures = run(test)
        if not test.is_control:
            # Beyond what is expected of a control, anything found is a fault of the gateway.
            verdict = "FAILED" if test.findings else "ok"
        else:
            verdict, figures = "FAILED", f"the control passed: this test would not notice {bar.broken or 'it'}; {figures}"
    except _Enough:
        kind, text = test.findings[-1]
        verdict, figures = "ok", f"the control is convicted: {kind}: {text}"
    except Skip as why:
        print(f"{bar.title}: SKIPPED: {why}")
        return SKIPPED
    except Failure as why:
        verdict, figures = "FAILED", str(why)
    finally:
        if test:
            test.end_of_progress()
    seed = f", --seed {test.seed}" if verdict != "ok" and test else ""
    counts = {}
    for kind, _ in test.findings if test and not test.is_control else ():
        counts[kind] = counts.get(kind, 0) + 1
    wrong = "".join(f"; {count} × {kind}" for kind, count in sorted(counts.items()))
    print(f"{bar.title}: {verdict}: {figures}{wrong} ({time.monotonic() - begin:.0f} s{seed})")
    return 0 if verdict == "ok" else 1
