#!/usr/bin/env python3
"""A million events wait, because nobody handles them: what senders notice of it, the memory it takes, and how fast it is worked off.

All workers are held by handlers that wait for a file. Bars: p99 of the acknowledgements at most twice that of an empty gateway, where
handlers are held as well; resident memory at most 256 MB; then the file is made, and all is worked off: the rate is printed. By hand
only, with nothing else running. No control: it measures, and the figures are their own proof.
"""

import os
import sys
import time

from bars import Bar, main
from gateway import Failure, Gateway, Load, eventually
from probe import entry, event

BAR = Bar("backlog", "events waiting", 1_000_000, "", frozenset(), __doc__)
WORKERS = 8
CONNECTIONS = 64
OFFERED_PER_S = 5_000
SECONDS = 10
RSS_MIB = 256
TIMES_EMPTY = 2.0


def fill(test, gateway, count):
    """As fast as they are taken."""
    with Load(test, gateway, "--connections", 256, "--requests", count) as load:
        while load.running():
            test.progress(load.acked_bytes() // 35, "stored")
            time.sleep(0.2)
        report = load.result()
    if report["acked"] != count:
        raise Failure(f"only {report['acked']} of {count} events were stored: {report['statuses']}\n{gateway.log_tail()}")
    os.remove(load.journal)


def wait_until_settled(test, gateway, count):
    """The number settled a second."""
    begin, last, queued = time.monotonic(), time.monotonic(), None
    first = gateway.status()["store"]["queued"]
    while now := gateway.status()["store"]["queued"]:
        if queued is None or now < queued:
            queued, last = now, time.monotonic()
        if time.monotonic() - last > 60:
            raise Failure(f"{now} deliveries stay queued:\n{gateway.log_tail()}")
        test.progress(count - now, "settled")
        time.sleep(0.2)
    return first / max(0.001, time.monotonic() - begin)


def hold_workers(gateway):
    """Returns the file that sets them free."""
    free = os.path.join(gateway.folder, "free")
    for n in range(WORKERS):
        body = event("block", f"held{n}", key=f"held{n}", file=free).partition(b"\r\n\r\n")[2]
        if gateway.request("POST", "/probe", body)[0] != 200:
            raise Failure("the workers cannot be held")
    if not eventually(20, lambda: gateway.status()["dispatch"]["running"] == WORKERS, 0.05):
        raise Failure(f"the workers are not held: {gateway.status()['dispatch']}")
    return free


def p99_ms(test, gateway):
    with Load(test, gateway, "--connections", CONNECTIONS, "--duration", SECONDS, "--rate", OFFERED_PER_S) as load:
        report = load.result()
    if report["acked"] != report["requests"]:
        test.find("refused", f"{report['requests'] - report['acked']} of {report['requests']} were not acknowledged: {report['statuses']}")
    return report["p99_us"] / 1000


def measure(test, count):
    with Gateway(test, dispatch=f"workers: {WORKERS}, deadline: 1d", plugins=entry(test)) as gateway:
        gateway.start()
        free = hold_workers(gateway)
        if count:
            fill(test, gateway, count)
        p99 = p99_ms(test, gateway)
        rss = gateway.rss_mib()
        drained = 0.0
        with open(free, "w", encoding="ascii"):
            pass
        if count:
            drained = wait_until_settled(test, gateway, count)
        gateway.stop()
    return p99, rss, drained


def run(test):
    if test.is_control:
        raise Failure("this test measures; it has no control")
    empty, _, _ = measure(test, 0)
    full, rss, drained = measure(test, test.number)
    if full > TIMES_EMPTY * empty:
        test.find("late", f"p99 {full:.1f} ms, beside {empty:.1f} ms of an empty gateway")
    if rss > RSS_MIB:
        test.find("memory", f"RSS {rss:.0f} MiB; promised: {RSS_MIB} MiB")
    return f"{test.number} waiting, p99 {full:.1f} ms (empty: {empty:.1f} ms), RSS {rss:.0f} MiB, drained at {drained:.0f}/s"


if __name__ == "__main__":
    sys.exit(main(BAR, run))
