#!/usr/bin/env python3
"""SIGKILL under load, again and again: what was acknowledged is in the store afterwards, once.

The load repeats whatever was not answered, as providers do: an event that was committed but not acknowledged must be recognised by the
next life of the gateway. Some starts are killed as well, in the middle of the recovery. Bars: 0 lost, 0 twice; in the full form 500,000
acknowledged; with --timed ready again within 1 s each time. Control: early_ack, which tells the senders before the commit.
"""

import sys
import time

from bars import Bar, main
from gateway import Failure, Gateway, Load, eventually

BAR = Bar("SIGKILL under load", "kills", 1000, "early_ack", frozenset({"lost"}), __doc__)
KILLED_AT_START = 0.2  # of the starts
ACKED_PER_KILL = 500  # on average, in the full form
READY_WITHIN = 1.0
LONG, RATE = 100, 3000  # a long run is paced, events per second: at full speed it would measure how fast the disk takes gigabytes


def kill_under_load(test, gateway, load):
    """After a moment of load that nobody can foresee, but not before this life has acknowledged something."""
    before = load.acked_bytes()
    if not eventually(60, lambda: load.acked_bytes() > before or not load.running()) or not load.running():
        raise Failure(f"nothing is acknowledged\n{gateway.log_tail()}")
    time.sleep(test.random.uniform(0.1, 0.5))
    gateway.kill()


def compare(test, gateway, load):
    """The journal with the store; the number of events acknowledged."""
    acked = load.acked()
    if len(set(acked)) != len(acked):
        test.find("twice", f"{len(acked) - len(set(acked))} were acknowledged as new twice")
    stored = dict(gateway.rows("SELECT external_id, count(*) FROM event GROUP BY external_id"))
    lost = [one for one in acked if one not in stored]
    if lost:
        test.find("lost", f"{len(lost)} of {len(acked)} acknowledged, such as {lost[0]}")
    twice = [one for one, count in stored.items() if count > 1]
    if twice:
        test.find("twice", f"{len(twice)} are stored more than once, such as {twice[0]}")
    strange = stored.keys() - set(acked) - set(load.unacked())
    if strange:
        test.find("strange", f"{len(strange)} are stored that were not sent")
    if (said := gateway.rows("PRAGMA integrity_check")) != [("ok",)]:
        test.find("corrupt", str(said[:3]))
    bare = gateway.number("SELECT count(*) FROM event e WHERE NOT EXISTS (SELECT 1 FROM delivery d WHERE d.seq = e.first_delivery)")
    if bare:
        test.find("lost", f"{bare} events without their delivery")
    return len(acked), len(stored)


def run(test):
    slowest = 0.0
    with Gateway(test) as gateway:
        gateway.start()
        rate = RATE if test.number >= LONG else 0
        with Load(test, gateway, "--connections", 64, "--duration", 86400, "--retry", "--duplicates", 0.05, "--conversations", 500,
                  "--rate", rate, "--give-up", 60) as load:
            for done in test.cycles():
                kill_under_load(test, gateway, load)
                if test.random.random() < KILLED_AT_START:
                    gateway.launch()
                    time.sleep(test.random.uniform(0, 0.03))
                    gateway.kill()
                slowest = max(slowest, gateway.start())
                test.progress(done, f"slowest start {slowest * 1000:.0f} ms")
                if test.is_control:
                    compare(test, gateway, load)
            before = load.acked_bytes()
            if not eventually(30, lambda: load.acked_bytes() > before):
                test.find("stall", "the last life takes no events")
            report = load.end()
        if (status := gateway.stop()) != 0:
            test.find("stop", f"exit status {status}\n{gateway.log_tail()}")
        acked, stored = compare(test, gateway, load)
        # What is said to be a duplicate was repeated on purpose, or sent again because its answer was lost in a crash.
        if report["duplicates"] > report["repeats"] + report["retries"]:
            test.find("strange", f"{report['duplicates']} duplicates, but only {report['repeats']} + {report['retries']} were repeated")
    test.bar_of_time(slowest, READY_WITHIN, "a start after a kill")
    if test.number >= BAR.full and acked < ACKED_PER_KILL * test.number:
        test.find("few", f"only {acked} were acknowledged in {test.number} cycles")
    return f"{test.number} kills, {acked} acknowledged, {stored} stored, ready again after at most {slowest * 1000:.0f} ms"


if __name__ == "__main__":
    sys.exit(main(BAR, run))
