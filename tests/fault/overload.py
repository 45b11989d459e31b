#!/usr/bin/env python3
"""More connections (5,000) than there are file descriptors, beside a good load that was there before.

First the descriptors run out while the gateway works: whoever connects is answered or refused at once, the good load notices nothing, the
loops do not spin. Then, with some again, everything is as before: within 5 s. At last a gateway that has few from its start on: it takes
fewer connections, tells the others 503, commits, and its command line reaches it. Control: spin_without_files, in which nobody looks away
from a connection that cannot be accepted.
"""

import contextlib
import resource
import socket
import subprocess
import sys
import time

from bars import Bar, Skip, main
from clients import raise_file_limit
from gateway import Failure, Gateway, Load, read_answer

BAR = Bar("overload", "connections", 5000, "spin_without_files", frozenset({"spin", "stalled"}), __doc__)
OFFERED_PER_S, GOOD_CONNECTIONS = 500, 32
ROOM = 60            # descriptors that are left when they become few
FEW = 256            # a whole gateway's
RECOVERS_S = 5
QUIET_S, MOST_CPU = 3, 0.1   # of a core, while connections wait and nothing is asked
P99_MS = 50
ASK = b"GET /health HTTP/1.1\r\nHost: postern\r\n\r\n"


def storm(port, count, at_once=500):
    """(connections that are served and stay, how many were told 503, how many were ended without a word, the longest wait). One that gets
    nothing within 20 s counts as stalled: the fifth."""
    served, told, ended, longest, stalled = [], 0, 0, 0.0, 0
    for begin in range(0, count, at_once):
        batch = []
        for _ in range(min(at_once, count - begin)):
            connection = socket.socket()
            connection.settimeout(20)
            connection.connect(("127.0.0.1", port))
            with contextlib.suppress(OSError):
                connection.sendall(ASK)
            batch.append((connection, time.monotonic()))
        for connection, since in batch:
            try:
                status = read_answer(connection)[0]
            except socket.timeout:
                status, stalled = 0, stalled + 1
            except OSError:
                status, ended = 0, ended + 1
            longest = max(longest, time.monotonic() - since)
            if status == 200:
                served.append(connection)
                continue
            told += status == 503
            connection.close()
            if stalled > 3:
                return served, told, ended, longest, stalled
    return served, told, ended, longest, stalled


def quiet_cpu(gateway):
    """The share of a core that it takes while nobody asks anything."""
    begin, cpu = time.monotonic(), gateway.cpu_s()
    time.sleep(QUIET_S)
    return (gateway.cpu_s() - cpu) / (time.monotonic() - begin)


def check_spin(test, gateway):
    """With connections in the queue and no descriptor for them."""
    open_ones, status = [], 200
    while status == 200:
        connection = socket.create_connection(("127.0.0.1", gateway.port), timeout=test.patience(2, 10))
        connection.sendall(ASK)
        try:
            status = read_answer(connection)[0]
        except OSError:
            status = 0
        open_ones.append(connection)
        if len(open_ones) > 2 * ROOM:
            raise Failure(f"{len(open_ones)} connections with room for {ROOM}")
    for _ in range(20):
        connection = socket.socket()
        connection.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            connection.connect(("127.0.0.1", gateway.port))
        open_ones.append(connection)
    share = quiet_cpu(gateway)
    if share > MOST_CPU:
        test.find("spin", f"{share:.2f} of a core while nobody asks anything")
    for connection in open_ones:
        connection.close()
    return share


def without_files(test):
    with Gateway(test, settings={"max_connections_per_client": 0}) as gateway:
        gateway.start()
        _, hard = resource.prlimit(gateway.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(gateway.pid, resource.RLIMIT_NOFILE, (gateway.open_files() + ROOM, hard))
        share = check_spin(test, gateway)
        load = Load(test, gateway, "--connections", GOOD_CONNECTIONS, "--duration", 3600, "--rate", OFFERED_PER_S, "--stop-on-error")
        with load:
            while load.acked_bytes() == 0 and load.running():
                time.sleep(0.02)
            served, told, ended, longest, stalled = storm(gateway.port, test.number)
            if stalled:
                test.find("stalled", f"{stalled} of {test.number} got no answer and no end")
            if ended > test.number / 100:  # a request that crosses the refusal is answered with a reset
                test.find("untold", f"{ended} of {test.number} were ended without a word")
            if len(served) > ROOM or told < test.number - ROOM - ended:
                test.find("odd", f"{len(served)} served with room for {ROOM}, {told} told 503 of {test.number}")
            if not load.running():
                test.find("refused", "the good load broke")
            report = load.end()
        if report["errors"] or set(report["statuses"]) != {"200"}:
            test.find("refused", f"the good load: {report['errors']} broken connections, answers {report['statuses']}")
        test.bar_of_time(report["p99_us"] / 1e6, P99_MS / 1000, "p99 of the good load")
        resource.prlimit(gateway.pid, resource.RLIMIT_NOFILE, (hard, hard))
        begin = time.monotonic()
        while not gateway.answers() and time.monotonic() - begin < 60:
            time.sleep(0.02)
        recovered = time.monotonic() - begin
        if recovered > test.patience(RECOVERS_S, 60):
            test.find("late", f"recovered after {recovered:.1f} s")
        with Load(test, gateway, "--connections", 64, "--requests", 500) as after:
            if (again := after.result())["acked"] != 500:
                test.find("refused", f"after it: {again['statuses']}")
        for connection in served:
            connection.sendall(ASK)
            if read_answer(connection)[0] != 200:
                test.find("lost", "a connection that was served before is not any more")
            connection.close()
        if (status := gateway.stop()) != 0:
            test.find("stop", f"exit status {status}\n{gateway.log_tail()}")
    return len(served), told, longest, share, recovered, report["p99_us"] / 1000


def with_few_files(test):
    """The limit that it is started with; returns how many connections it took."""
    with Gateway(test, settings={"max_connections_per_client": 0}) as gateway:
        gateway.launch(tracer=("prlimit", f"--nofile={FEW}:{FEW}"))
        gateway.pid = gateway.process.pid  # prlimit, setpriv and the daemon are one process, one after the other
        begin = time.monotonic()
        while not gateway.answers():
            if not gateway.running() or time.monotonic() - begin > 60:
                raise Failure(f"it does not start with {FEW} files:\n{gateway.log_tail()}")
            time.sleep(0.02)
        load = Load(test, gateway, "--connections", GOOD_CONNECTIONS, "--duration", 3600, "--rate", OFFERED_PER_S, "--stop-on-error")
        with load:
            while load.acked_bytes() == 0 and load.running():
                time.sleep(0.02)
            served, told, ended, _, stalled = storm(gateway.port, min(test.number, 1000))
            if stalled or ended > test.number / 100:
                test.find("stalled", f"with few files: {stalled} without an answer, {ended} ended without a word")
            if not told or len(served) < FEW / 4:
                test.find("odd", f"with few files: {len(served)} served, {told} told 503")
            asked = subprocess.run([gateway.binary, "status", "-c", gateway.config, "--json"], env=gateway.environment, check=False,
                                   capture_output=True, text=True, timeout=60)
            if asked.returncode != 0:
                test.find("admin", f"postern status: {asked.stderr.strip()}")
            report = load.end()
        if report["errors"] or set(report["statuses"]) != {"200"}:
            test.find("refused", f"with few files: {report['errors']} broken connections, answers {report['statuses']}")
        for connection in served:
            connection.close()
        gateway.stop()
    return len(served)


def run(test):
    if not raise_file_limit(2000):
        raise Skip("the limit of open files is too low")
    served, told, longest, share, recovered, p99_ms = without_files(test)
    few = with_few_files(test)
    return (f"{test.number} connections: {served} served, {told} told 503, the longest wait {longest:.2f} s; good load beside it p99 "
            f"{p99_ms:.1f} ms; quiet {share:.2f} of a core; recovered in {recovered:.2f} s; {few} connections with {FEW} files")


if __name__ == "__main__":
    sys.exit(main(BAR, run))
