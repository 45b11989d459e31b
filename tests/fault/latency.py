#!/usr/bin/env python3
"""How long an acknowledgement takes at a given rate with a full store: events with random ids, 25,000 a second offered, the handlers on.

The store is filled with the number first (1,000,000; up to 5,000,000), and handled. Bar: p99 of the acknowledgements at most 25 ms,
counted from when each was due, so that a stall shows in its full length. By hand only, with nothing else running. No control: it
measures, and the figure is its own proof.
"""

import sys

from backlog import fill, wait_until_settled
from bars import Bar, main
from gateway import Failure, Gateway, Load

BAR = Bar("commit latency", "events stored", 1_000_000, "", frozenset(), __doc__)
OFFERED_PER_S = 25_000
SECONDS = 20
CONNECTIONS = 256
P99_MS = 25


def run(test):
    if test.is_control:
        raise Failure("this test measures; it has no control")
    with Gateway(test) as gateway:
        gateway.start()
        fill(test, gateway, test.number)
        wait_until_settled(test, gateway, test.number)
        before = gateway.status()["store"]
        with Load(test, gateway, "--connections", CONNECTIONS, "--duration", SECONDS, "--rate", OFFERED_PER_S) as load:
            report = load.result()
        settled = gateway.status()["store"]["settled"] - before["settled"]
        if report["errors"] or report["acked"] != report["requests"]:
            refused = report["requests"] - report["acked"]
            test.find("refused", f"{refused} of {report['requests']} were not acknowledged: {report['statuses']}")
        rss = gateway.rss_mib()
        gateway.stop()
    p99_ms = report["p99_us"] / 1000
    if report["acks_per_s"] < 0.98 * OFFERED_PER_S:
        test.find("slow", f"{report['acks_per_s']:.0f} acknowledged a second of {OFFERED_PER_S} offered")
    if p99_ms > P99_MS:
        test.find("late", f"p99 {p99_ms:.1f} ms; promised: {P99_MS} ms")
    return (f"{test.number} stored, {report['acks_per_s']:.0f}/s acknowledged, p50 {report['p50_us'] / 1000:.1f}, p99 {p99_ms:.1f}, "
            f"max {report['max_us'] / 1000:.0f} ms, {settled / report['seconds']:.0f}/s settled meanwhile, RSS {rss:.0f} MiB")


if __name__ == "__main__":
    sys.exit(main(BAR, run))
