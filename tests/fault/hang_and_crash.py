#!/usr/bin/env python3
"""One event in a hundred of one plugin makes its handler hang beyond its deadline, or throw, at every attempt; another plugin has events
without fault, as many.

Bars: all of the bad ones end dead, all others done; with --timed the other plugin keeps 95 % of the throughput that it has beside a
plugin without faults. Control: keep_hung_threads, where nobody takes the place of a thread that a handler keeps.
"""

import sys
import time

from bars import Bar, main
from gateway import Gateway, eventually
from probe import Senders, entry, event

BAR = Bar("hang and crash", "events of each plugin", 20000, "keep_hung_threads", frozenset({"stall"}), __doc__)
BAD_EVERY = 100
HANG_MS = 500  # beyond the deadline
OPEN_FOR_MS, ATTEMPTS = 300, 3
POLICIES = (f"deadline: 200ms, breaker: {{open_for: {OPEN_FOR_MS}ms}}, "
            f"retry: {{attempts: {ATTEMPTS}, base: 100ms, factor: 1, cap: 100ms}}")
KEEPS = 0.95
WORKERS = 4


def is_bad(number):
    return number % BAD_EVERY == BAD_EVERY // 2


def flawed(number):
    if not is_bad(number):
        return f"a{number}", event("done", f"a{number}", "/flawed", key=f"k{number}")
    hangs = number // BAD_EVERY % 2 == 0
    return f"a{number}", event("hang" if hangs else "throw", f"a{number}", "/flawed", key=f"k{number}", ms=str(HANG_MS))


def good(number, name="b", prefix="/good"):
    return f"{name}{number}", event("done", f"{name}{number}", prefix, key=f"k{number}")


def settled(gateway, plugin):
    return gateway.number("SELECT count(*) FROM delivery WHERE plugin = ? AND state IN ('done', 'dead')", plugin)


def throughput(test, beside):
    """Events a second of the good plugin, from the first sent to the last settled, and what became of those of the other."""
    plugins = entry(test, "good", "/good") + entry(test, "flawed", "/flawed", POLICIES)
    with Gateway(test, dispatch=f"workers: {WORKERS}", plugins=plugins) as gateway:
        gateway.start()
        begin = time.monotonic()
        with Senders(gateway, beside, 2, test.number) as others, Senders(gateway, good, 2, test.number) as senders:
            senders.join()
            if not eventually(3 if test.is_control else 20 + test.number / 500, lambda: settled(gateway, "good") == test.number, 0.02):
                test.find("stall", f"the other plugin has {settled(gateway, 'good')} of {test.number} settled")
            rate = test.number / (time.monotonic() - begin)
            others.join()  # to end them would leave some unsent
        # When all others are done, the breaker lets one attempt of a bad one through at a time.
        trials = test.number / BAD_EVERY * ATTEMPTS * (OPEN_FOR_MS + HANG_MS) / 1000
        if not eventually(30 + trials, lambda: settled(gateway, "flawed") == test.number, 0.05):
            test.find("stall", f"the plugin with faults has {settled(gateway, 'flawed')} of {test.number} settled")
        states = dict(gateway.rows("SELECT e.external_id, d.state FROM delivery d JOIN event e ON e.seq = d.event "
                                   "WHERE d.plugin = 'flawed'"))
        if (status := gateway.stop()) != 0:
            test.find("stop", f"exit status {status}\n{gateway.log_tail()}")
    return rate, states


def run(test):
    quiet = 0.0
    if test.timed:
        quiet, _ = throughput(test, lambda n: good(n, "a", "/flawed"))
    rate, states = throughput(test, flawed)
    bad = [number for number in range(test.number) if is_bad(number)]
    dead = [number for number in bad if states.get(f"a{number}") == "dead"]
    if len(dead) != len(bad):
        test.find("alive", f"{len(bad) - len(dead)} of {len(bad)} bad ones are not dead")
    if wrong := [identity for identity, state in states.items() if state != "done" and not is_bad(int(identity[1:]))]:
        test.find("wrong", f"{len(wrong)} without fault are not done, such as {wrong[0]}")
    kept = f"{rate:.0f} events/s of the other plugin"
    if test.timed:
        kept += f", {100 * rate / quiet:.0f} % of {quiet:.0f}/s"
        if rate < KEEPS * quiet:
            test.find("slow", f"the other plugin keeps only {100 * rate / quiet:.0f} % of its throughput")
    return f"{len(dead)} of {len(bad)} bad ones dead, {kept}"


if __name__ == "__main__":
    sys.exit(main(BAR, run))
