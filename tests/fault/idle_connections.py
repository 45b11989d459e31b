#!/usr/bin/env python3
"""Idle keep-alive connections (10,000), from 20 addresses: what they take of memory, and of the others' throughput.

Bars: at most 60 MB more of resident memory (for fewer: 6 KB for each, and 1 MB); all of them still served at the end; with --timed: beside
them the load has at least 0.9 of its throughput without them. No control: it measures, and the figures are their own proof.
"""

import sys

from bars import Bar, Skip, main
from clients import idle_connections, raise_file_limit
from gateway import Failure, Gateway, Load

BAR = Bar("idle connections", "idle connections", 10_000, "", frozenset(), __doc__)
KB_EACH, KB_AT_ALL = 6, 1000
LEAST_THROUGHPUT = 0.9
ROUNDS = 3
ASK = b"GET /health HTTP/1.1\r\nHost: postern\r\n\r\n"


def throughput(test, gateway):
    with Load(test, gateway, "--connections", 64, "--duration", 4 if test.timed else 1) as load:
        report = load.result()
    if report["errors"] or set(report["statuses"]) != {"200"}:
        test.find("refused", f"{report['errors']} broken connections, answers {report['statuses']}")
    return report["acks_per_s"]


def run(test):
    if test.is_control:
        raise Failure("this test measures; it has no control")
    if not raise_file_limit(test.number + 500):
        raise Skip("the limit of open files is too low")
    settings = {"max_connections": test.number + 1000, "deadlines": "{idle: 1h}"}
    with Gateway(test, settings=settings) as gateway:
        gateway.start()
        before = gateway.rss_mib()  # no load yet: what it leaves would be taken again, and hide what they need
        without, beside, grown = [], [], None
        for _ in range(ROUNDS):  # in turns, since the machine's speed changes as well
            if grown is not None:
                without.append(throughput(test, gateway))
            connections = idle_connections(gateway.port, test.number)
            if grown is None:
                grown = gateway.rss_mib() - before
            beside.append(throughput(test, gateway))
            for connection in connections:
                connection.sendall(ASK)
            if broken := sum(not connection.recv(4096).startswith(b"HTTP/1.1 200 ") for connection in connections):
                test.find("lost", f"{broken} connections are not served any more")
            for connection in connections:
                connection.close()
        without.append(throughput(test, gateway))
        gateway.stop()
    grown *= 1.048576
    most = min(60, (KB_EACH * test.number + KB_AT_ALL) / 1000)
    if grown > most:
        test.find("memory", f"{grown:.1f} MB more; promised: {most:.1f} MB")
    ratio = sorted(b / w for b, w in zip(beside, without))[ROUNDS // 2]
    if test.timed and ratio < LEAST_THROUGHPUT:
        test.find("slow", f"{ratio:.2f} of the throughput without them; promised: {LEAST_THROUGHPUT}")
    return (f"{test.number} idle, {grown:.1f} MB more, {grown * 1e6 / test.number:.0f} bytes each; throughput "
            f"{max(beside):.0f}/s beside them, {max(without):.0f}/s without, ratio {ratio:.2f}")


if __name__ == "__main__":
    sys.exit(main(BAR, run))
