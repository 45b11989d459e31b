#!/usr/bin/env python3
"""The system's clock is set by a day, forward and back, while deliveries wait for their retry and durable timers for their time:
shifted_clock.c shows the gateway another one.

Bars: no delivery is tried earlier than its pause allows, measured by a clock that was not set, and none much later; likewise timers, also
those of which a restart finds that they were set "in the future"; what comes meanwhile
is stored and handled at once; a handler that hangs is still ended at its deadline; a restart after a jump back stalls nothing; a timer that
was due while the machine slept fires when it wakes.
Control: the clock for waiting is set as well, as if the gateway waited by wall time.
"""

import os
import struct
import sys
import time

from bars import Bar, main
from gateway import Failure, Gateway, eventually
from probe import entry, event

BAR = Bar("clock jump", "jumps", 20, "", frozenset({"storm", "stall"}), __doc__)
DAY_S = 86400
PAUSE_S = 1.0  # between two attempts
WAITING = 40   # deliveries
TIMER_S = 2.0
LOOKS_AT_CLOCK_S = 10.0  # between two looks at timers that are far ahead
SOON_S, BUSY_MACHINE = 3.0, 15.0
DISPATCH = "retry: {attempts: 100, base: 1s, factor: 1, cap: 1s, jitter: 0}, breaker: {failures: 1000000}, deadline: 1s"


class Clock:
    """The gateway's wall clock, as seconds beside the real one."""

    def __init__(self, test, folder):
        self._both = test.is_control
        self._path = os.path.join(folder, "clock")
        with open(self._path, "wb") as file:
            file.write(struct.pack("qqq", 0, 0, 0))
        self.environment = {"LD_PRELOAD": os.path.join(test.build, "tests/fault/shifted_clock.so"), "POSTERN_CLOCK": self._path}

    def set(self, seconds):
        with open(self._path, "r+b", buffering=0) as file:
            steady = seconds if self._both else 0
            file.write(struct.pack("qqq", seconds, steady, steady))

    def sleep(self, seconds):
        """As a suspended machine: the wall clock and the time since the boot have gone on."""
        with open(self._path, "r+b", buffering=0) as file:
            file.write(struct.pack("qqq", seconds, 0, seconds))


def attempts(gateway):
    return gateway.number("SELECT sum(attempts) FROM delivery")


def post(gateway, identity, what="done", **more):
    try:
        return gateway.request("POST", "/probe", event(what, identity, **more).partition(b"\r\n\r\n")[2], seconds=10)[0]
    except OSError:
        return 0


def state_of(gateway, identity):
    rows = gateway.rows("SELECT d.state FROM delivery d JOIN event e ON e.seq = d.event WHERE e.external_id = ?", identity)
    return rows[0][0] if rows else None


def set_timer(test, gateway, name, seconds=TIMER_S):
    if post(gateway, f"sets {name}", "set_timer", timer=name, ms=str(int(seconds * 1000))) != 200:
        test.find("stall", f"timer {name} is not set")
    if not eventually(soon_enough(test), lambda: state_of(gateway, f"sets {name}") == "done", 0.01):
        test.find("stall", f"timer {name} is not set")


def has_fired(gateway, name):
    return gateway.number("SELECT count(*) FROM event WHERE type = 'probe.timer' AND external_id = ?", name) > 0


def soon_enough(test):
    return SOON_S if test.is_control else test.patience(SOON_S, BUSY_MACHINE)


def check_clock(gateway, identity, seconds):
    """A gateway that sees the right time would pass everything here."""
    received = gateway.number("SELECT received_at FROM event WHERE external_id = ?", identity) / 1000
    if received and abs(received - time.time() - seconds) > 60:
        raise Failure("the gateway does not see the clock that this test sets")


def jump(test, gateway, clock, seconds, number):
    """Between two attempts of all that wait: they have to come when they would have come anyway."""
    soon = soon_enough(test)
    before = attempts(gateway)
    eventually(2 * PAUSE_S + soon, lambda: attempts(gateway) >= before + WAITING, 0.02)  # a round of attempts has just been
    set_timer(test, gateway, timer := f"timer{number}")
    begin, before = time.monotonic(), attempts(gateway)
    clock.set(seconds)
    time.sleep(PAUSE_S)
    if has_fired(gateway, timer):
        test.find("storm", f"jump {number} ({seconds:+d} s): a timer fires before its time")
    if post(gateway, f"new{number}") != 200 or not eventually(soon, lambda: state_of(gateway, f"new{number}") == "done", 0.02):
        test.find("stall", f"jump {number} ({seconds:+d} s): a new event is not handled")
    check_clock(gateway, f"new{number}", seconds)
    # As many rounds as fit into the time, and one of which the first part had begun before.
    made, allowed = attempts(gateway) - before, WAITING * (2 + (time.monotonic() - begin) / PAUSE_S)
    if made > allowed:
        test.find("storm", f"jump {number} ({seconds:+d} s): {made} attempts where at most {allowed:.0f} are due")
    before = attempts(gateway)
    if not eventually(PAUSE_S + soon, lambda: attempts(gateway) >= before + WAITING, 0.02):
        test.find("stall", f"jump {number} ({seconds:+d} s): {attempts(gateway) - before} of {WAITING} that wait were tried again")
    if not eventually(TIMER_S + soon, lambda: has_fired(gateway, timer), 0.02):
        test.find("stall", f"jump {number} ({seconds:+d} s): a timer does not fire")


def restart(test, gateway, clock, seconds):
    """The store has times of the clock as it was: back by a day, all of them are far ahead."""
    set_timer(test, gateway, "over the restart")
    if (status := gateway.stop()) != 0:
        test.find("stop", f"exit status {status}\n{gateway.log_tail()}")
    clock.set(seconds - DAY_S)
    before = attempts(gateway)
    gateway.start()
    if not eventually(2 * PAUSE_S + soon_enough(test), lambda: attempts(gateway) >= before + WAITING, 0.02):
        test.find("stall", f"after a restart with the clock set back {attempts(gateway) - before} of {WAITING} were tried again")
    if not eventually(TIMER_S + soon_enough(test), lambda: has_fired(gateway, "over the restart"), 0.02):
        test.find("stall", "after a restart with the clock set back a timer does not fire")


def sleep(test, gateway, clock):
    """After a night in a bag: what was due meanwhile fires as soon as somebody looks at the clock."""
    clock.set(0)
    set_timer(test, gateway, "in an hour", 3600)
    set_timer(test, gateway, "tomorrow", DAY_S)
    clock.sleep(2 * 3600)
    if not eventually(LOOKS_AT_CLOCK_S + soon_enough(test), lambda: has_fired(gateway, "in an hour"), 0.02):
        test.find("stall", "a timer that was due while the machine slept does not fire")
    if has_fired(gateway, "tomorrow"):
        test.find("storm", "a timer fires before its time after a sleep")


def run(test):
    with Gateway(test, dispatch=DISPATCH, plugins=entry(test)) as gateway:
        clock = Clock(test, gateway.folder)
        gateway.environment.update(clock.environment)
        gateway.start()
        for n in range(WAITING):
            if post(gateway, f"waits{n}", "retry", key=f"k{n}") != 200:
                test.find("stall", "events are not taken")
        seconds = 0
        for number in range(1, test.number + 1):
            seconds = test.random.choice([offset for offset in (-DAY_S, 0, DAY_S) if offset != seconds])
            jump(test, gateway, clock, seconds, number)
            test.progress(number)
        post(gateway, "hangs", "hang", ms="2500")
        clock.set(seconds := -DAY_S if seconds >= 0 else DAY_S)
        late = "SELECT count(*) FROM attempt WHERE outcome = 'timeout'"
        if not eventually(1 + soon_enough(test), lambda: gateway.number(late) > 0, 0.02):
            test.find("stall", "a handler that hangs is not ended at its deadline after a jump")
        restart(test, gateway, clock, seconds)
        if (status := gateway.stop()) != 0:
            test.find("stop", f"exit status {status}\n{gateway.log_tail()}")
        gateway.start()
        sleep(test, gateway, clock)
        if (status := gateway.stop()) != 0:
            test.find("stop", f"exit status {status}\n{gateway.log_tail()}")
        made = attempts(gateway)
    return f"{test.number} jumps of a day or two, {WAITING} deliveries waiting, {made} attempts made"


if __name__ == "__main__":
    sys.exit(main(BAR, run))
