#!/usr/bin/env python3
"""Reloads under load, every tenth of them with new code of both plugins in the place of the old.

Half of what the gateway can take comes in on 64 connections, and beside it events whose handlers append their ids to a record, some of
them later, from a thread of the plugin's own. Bars: no request fails, no connection breaks, whatever was acknowledged is stored, handled
once and done; and when it is quiet again, a reload takes no memory, one with new code a MiB at most for each plugin.
Control: drop_on_reload, which closes the connections with each reload.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time

import probe
from bars import Bar, main
from gateway import Failure, Gateway, Load, eventually
from settling import written_ids

BAR = Bar("reload under load", "reloads", 200, "drop_on_reload", frozenset({"refused"}), __doc__)
SWAP_EVERY = 10
CONNECTIONS = 64
EVENTS_PER_RECORD = 8
SETTLES_S = 3  # what the load took is given back to the system
QUIET_RELOADS, QUIET_SWAPS = 40, 10
MOST_MIB = {"reloads": 1.0, "swaps": 1.0 * QUIET_SWAPS * 2}
LIBRARIES = {"openphone": "plugins/openphone.so", "probe": "tests/plugins/probe.so"}


def make(n):
    identity = f"e{n}"
    return identity, probe.event("pending" if n % 4 == 0 else "done", identity, key=f"k{n // EVENTS_PER_RECORD}")


class Plugins:
    """Libraries of the gateway's own, with content that changes."""

    def __init__(self, test, gateway):
        self._folder = gateway.folder
        self._bytes = {}
        for name, library in LIBRARIES.items():
            with open(os.path.join(test.build, library), "rb") as file:
                self._bytes[name] = file.read()
        self._swaps = 0
        self.write()
        with open(gateway.config, encoding="utf-8") as file:
            yaml = file.read()
        for name in LIBRARIES:
            yaml = re.sub(rf"library: [^ ,}}\n]*{name}\.so", f"library: {self._folder}/{name}.so", yaml)
        with open(gateway.config, "w", encoding="utf-8") as file:
            file.write(yaml)

    def write(self):
        """New content, once as a new file in its place, once into the file that is there, as `cp` does."""
        for name, content in self._bytes.items():
            path = f"{self._folder}/{name}.so"
            written = path if self._swaps % 2 else path + ".new"
            with open(written, "wb") as file:
                file.write(content + b"\0swap %d" % self._swaps if self._swaps else content)
            if written != path:
                shutil.move(written, path)
        self._swaps += 1


def reload(test, gateway):
    begin = time.monotonic()
    answer = subprocess.run([gateway.binary, "reload", "-c", gateway.config, "--json"], env=gateway.environment, check=False,
                            capture_output=True, text=True, timeout=120)
    if answer.returncode != 0:
        raise Failure(f"postern reload: {answer.stderr.strip() or answer.stdout.strip()}\n{gateway.log_tail()}")
    return json.loads(answer.stdout)["generation"], time.monotonic() - begin


def peak(test, gateway):
    with Load(test, gateway, "--connections", CONNECTIONS, "--duration", 3) as load:
        return load.result()["acks_per_s"]


def generations(gateway):
    return len(gateway.status()["reload"]["generations"])


def under_load(test, gateway, plugins):
    """The report of the load, the ids that were acknowledged, and how long the longest reload took."""
    rate = peak(test, gateway) / 2
    refused = []
    longest = 0.0
    load = Load(test, gateway, "--connections", CONNECTIONS, "--duration", 3600, "--rate", f"{rate:.0f}", "--stop-on-error")
    with load, probe.Senders(gateway, make, connections=4, pause=0.002, refused=refused.append) as senders:
        for n in test.cycles():
            if n % SWAP_EVERY == 0:
                plugins.write()
            _, took = reload(test, gateway)
            longest = max(longest, took)
            if not load.running():
                break
            test.progress(n)
        senders.end()
        report = load.end()
    if report["errors"] or set(report["statuses"]) != {"200"}:
        test.find("refused", f"{report['errors']} broken connections, answers {report['statuses']}")
    if refused:
        test.find("refused", f"{len(refused)} requests to the probe, such as {refused[0]}")
    return report, load.acked(), senders.acked, longest


def check_handled(test, gateway, acked, acked_by_probe):
    if (status := gateway.stop()) != 0:
        test.find("stop", f"exit status {status}\n{gateway.log_tail()}")
    done = {identity: count for identity, count in gateway.rows(
        "SELECT e.external_id, count(*) FROM delivery d JOIN event e ON e.seq = d.event WHERE d.state = 'done' GROUP BY e.external_id")}
    for identity in (*acked, *acked_by_probe):
        if done.get(identity, 0) != 1:
            test.find("lost", f"{identity} was acknowledged and is done {done.get(identity, 0)} times")
    written = written_ids(gateway)
    for identity in acked_by_probe:
        if written.get(identity, 0) != 1:
            test.find("twice" if written.get(identity, 0) else "lost", f"the effect of {identity} is there {written.get(identity, 0)} times")


def is_sanitized(test):
    """Such a build has its own ideas of memory."""
    with open(os.path.join(test.build, "CMakeCache.txt"), encoding="utf-8") as file:
        return any(re.match(r"POSTERN_SANITIZE:\w+=.", line) for line in file)


def memory(test, gateway, plugins):
    """What reloads leave behind, in MiB, while nothing else happens."""
    if not eventually(60 + test.number, lambda: not gateway.unsettled(), 0.1):
        test.find("unsettled", f"{gateway.unsettled()} deliveries")
    time.sleep(SETTLES_S)
    grown = {}
    for kind, count in (("reloads", QUIET_RELOADS), ("swaps", QUIET_SWAPS)):
        for _ in range(5):
            reload(test, gateway)
        before = gateway.rss_mib()
        for _ in range(count):
            if kind == "swaps":
                plugins.write()
            reload(test, gateway)
        if not eventually(10, lambda: generations(gateway) == 1, 0.1):
            test.find("stays", f"{generations(gateway)} generations, though nothing is under way")
        grown[kind] = gateway.rss_mib() - before
        if grown[kind] > MOST_MIB[kind] and not is_sanitized(test):
            test.find("grows", f"{count} {kind} take {grown[kind]:.1f} MiB")
    return grown


def run(test):
    with Gateway(test, plugins=probe.entry(test)) as gateway:
        plugins = Plugins(test, gateway)
        gateway.start()
        report, acked, acked_by_probe, longest = under_load(test, gateway, plugins)
        grown = memory(test, gateway, plugins)
        check_handled(test, gateway, acked, acked_by_probe)
    return (f"{test.number} reloads, {test.number // SWAP_EVERY} with new code, the longest {longest * 1000:.0f} ms; "
            f"{report['acked']} + {len(acked_by_probe)} acknowledged at {report['acks_per_s']:.0f}/s, p99 {report['p99_us'] / 1000:.1f}, "
            f"max {report['max_us'] / 1000:.0f} ms; quiet: {QUIET_RELOADS} reloads {grown['reloads']:+.1f} MiB, "
            f"{QUIET_SWAPS} with new code {grown['swaps']:+.1f} MiB")


if __name__ == "__main__":
    sys.exit(main(BAR, run))
