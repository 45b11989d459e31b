#!/usr/bin/env python3
"""Slow clients (1,000 at once) beside good load: heads and bodies that come byte by byte, clients that say nothing, and those that never
read; first our own, then slowhttptest's -H, -B and -X.

Bars: our own are ended in time, however they dribble; no good request is refused or broken; with --timed: p99 of the good ones at most
50 ms. Control: deadlines_move, in which each byte that comes moves the deadline.
"""

import os
import shutil
import subprocess
import sys

from bars import Bar, Skip, main
from clients import Client, Crowd, connect, raise_file_limit
from gateway import Gateway, Load, die_with_parent, eventually

BAR = Bar("slow clients", "slow clients", 1000, "deadlines_move", frozenset({"held"}), __doc__)
HEAD_S, BODY_S, WRITE_S = 4, 8, 4
SLACK_S = 2          # promised; otherwise, see patience
P99_MS = 50
OFFERED_PER_S, CONNECTIONS = 1000, 32
ATTACK_S = 12
POST = b"POST /api/v1/webhooks/openphone HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n"
ASK = b"GET /api/health/ HTTP/1.1\r\nHost: h\r\n\r\n"
CHUNKS = b"1\r\n \r\n"
# (first bytes, then one by one, whether it reads, seconds until it must have ended)
KINDS = {
    "head": (b"POST /", b"x", True, HEAD_S),
    "header lines": (b"GET /health HTTP/1.1\r\nHost: h\r\n", b"X-A: b\r\n", True, HEAD_S),
    "body": (POST + b"Content-Length: 100000\r\n\r\n{", b" ", True, BODY_S),
    "chunks": (POST + b"Transfer-Encoding: chunked\r\n\r\n", CHUNKS, True, BODY_S),
    "continue": (POST + b"Expect: 100-continue\r\nContent-Length: 100000\r\n\r\n", b" ", True, BODY_S),
    "pipelined": (ASK * 5 + b"POST / HT", b"x", True, HEAD_S),
    "nothing": (b"", b"", True, HEAD_S),
}


def own_clients(test, gateway):
    crowd = Crowd()
    for n in range(test.number):
        kind = list(KINDS)[n % len(KINDS)]
        first, rest, reads, _ = KINDS[kind]
        crowd.add(Client(crowd, kind, connect(gateway.port, f"127.0.0.{2 + n % 20}"), first, rest, 0.25 if rest else 0.0, reads))
    return crowd


def good_load(test, gateway, seconds):
    return Load(test, gateway, "--connections", CONNECTIONS, "--rate", OFFERED_PER_S, "--duration", seconds)


def check(test, report, beside):
    if report["errors"] or set(report["statuses"]) != {"200"}:
        test.find("refused", f"beside {beside}: {report['errors']} broken connections, answers {report['statuses']}")
    p99_ms = report["p99_us"] / 1000
    test.bar_of_time(p99_ms / 1000, P99_MS / 1000, f"p99 of the good ones beside {beside}")
    return p99_ms


def own(test, gateway):
    """Their p99, and how long the longest lived beyond its deadline."""
    slack = test.patience(SLACK_S, 20)
    with good_load(test, gateway, BODY_S + 2) as load:
        crowd = own_clients(test, gateway)
        crowd.watch(BODY_S + slack, until=lambda: not crowd.alive())
        latest = 0.0
        for client in crowd.clients:
            over = (client.ended or BODY_S + slack) - KINDS[client.kind][3]
            latest = max(latest, over)
            if client.ended is None or over > slack:
                test.find("held", f"{client.kind}: still there {over:.1f} s after it should have ended")
            # What was whole has been answered; the rest only by a refusal.
            statuses = [part[:3] for part in client.answer.split(b"HTTP/1.1 ")[1:]]
            if set(statuses) - {b"100", b"200", b"408"}:
                test.find("answers", f"{client.kind}: {statuses}")
        crowd.close()
        return check(test, load.result(), "our own"), latest


ATTACKS = {
    "-H": ["-H", "-i", "1", "-x", "8"],
    "-B": ["-B", "-i", "1", "-s", "100000", "-f", "application/json", "-x", "8"],
    "-X": ["-X", "-w", "10", "-y", "20", "-n", "2", "-z", "8", "-k", "8"],
}


def slowhttptest(test, gateway, kind):
    """The p99 of the good load beside it."""
    path = "/api/v1/webhooks/openphone" if kind == "-B" else "/api/health/"
    with open(os.path.join(gateway.folder, f"slowhttptest{kind}"), "wb") as log:
        attack = subprocess.Popen(["slowhttptest", "-c", str(test.number), "-r", "1000", "-l", str(ATTACK_S + 3), "-p", "3", *ATTACKS[kind],
                                   "-u", f"http://127.0.0.1:{gateway.port}{path}"], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                  cwd=gateway.folder, preexec_fn=die_with_parent)
        try:
            before = gateway.open_files()
            if not eventually(15, lambda: gateway.open_files() > before + test.number * 0.5 or attack.poll() is not None, 0.02):
                test.find("attack", f"slowhttptest {kind} has only {gateway.open_files() - before} connections")
            with good_load(test, gateway, ATTACK_S) as load:
                return check(test, load.result(), f"slowhttptest {kind}")
        finally:
            attack.terminate()
            attack.wait()


def run(test):
    if not raise_file_limit(test.number + 500):
        raise Skip("the limit of open files is too low")
    settings = {"deadlines": f"{{head: {HEAD_S}s, body: {BODY_S}s, write: {WRITE_S}s}}", "max_connections_per_client": 0}
    p99 = {}
    with Gateway(test, settings=settings) as gateway:
        gateway.start()
        p99["our own"], latest = own(test, gateway)
        if not test.is_control:
            if not shutil.which("slowhttptest"):
                raise Skip("there is no slowhttptest")
            for kind in ATTACKS:
                p99[kind] = slowhttptest(test, gateway, kind)
        gateway.stop()
    figures = ", ".join(f"{kind} {ms:.1f} ms" for kind, ms in p99.items())
    return f"{test.number} slow clients, the latest ended {latest:+.1f} s from its deadline; p99 of the good ones beside {figures}"


if __name__ == "__main__":
    sys.exit(main(BAR, run))
