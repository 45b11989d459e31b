#!/usr/bin/env python3
"""An fsync fails: each of the first 200 of the running gateway, one at a time, and each of those at its start. strace makes them fail.

What the failed fsync should have written counts as lost from then on, as file systems have it, though a later one succeeds. Bars: no
event is acknowledged that is not certainly on the disk; the gateway ends with status 74; the next start finds everything that was
acknowledged and goes on. A start that an fsync refuses tells so and acknowledges nothing. With a smaller number: the first two, and
others of the 200. Control: fsync_ignored, which takes a failed fsync for done.
"""

import glob
import os
import shutil
import subprocess
import sys
import tempfile

from bars import Bar, Skip, main
from disk import Disk
from gateway import Failure, Gateway, Load, die_with_parent, eventually
from power_loss import faults_of, write_files
from system_calls import Ack, Reader, SyncEnd, strace, why_not

FSYNCS = 200
BAR = Bar("fsync error", "fsyncs", FSYNCS, "fsync_ignored", frozenset({"acknowledged", "goes on"}), __doc__)
ENDS_WITHIN = 10  # seconds
STORE_FAILED = 74  # the exit status of a gateway whose store has failed


def injection(n):
    return f"--inject=fdatasync,fsync:error=EIO:when={n}"


def contents(folder):
    files = {}
    for path in glob.glob(os.path.join(folder, "events.db*")):
        if not path.endswith(("-shm", ".lock")):
            with open(path, "rb") as file:
                files[os.path.basename(path)] = file.read()
    return files


def was_injected(file):
    with open(file, "rb") as trace:
        return b"(INJECTED)" in trace.read()


class Tracer:
    """strace on all threads of a running gateway, until that ends."""

    def __init__(self, gateway, file, n):
        self.process = subprocess.Popen([*strace(file, "-p", str(gateway.pid)), injection(n)], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, preexec_fn=die_with_parent)
        self._pid = gateway.pid
        if not eventually(10, self._attached):
            self.process.kill()
            raise Skip(f"strace cannot attach to a process here: {self.process.stderr.read().strip()}")

    def _attached(self):
        for task in glob.glob(f"/proc/{self._pid}/task/*/status"):
            with open(task, encoding="ascii", errors="replace") as file:
                if f"TracerPid:\t{self.process.pid}\n" not in file.read():
                    return False
        return True

    def end(self):
        self.process.wait(30)
        self.process.stderr.close()


def what_was_certain(test, base, operations, n):
    """Until another fsync succeeds after the one that failed, what is acknowledged has to be on the disk for certain."""
    disk, acked, failed = Disk(base), set(), False
    for operation in operations:
        if isinstance(operation, Ack):
            acked.add(operation.event_id)
        elif failed and isinstance(operation, SyncEnd) and operation.ok:
            break
        else:
            disk.apply(operation)
        failed = failed or (isinstance(operation, SyncEnd) and operation.injected)
    if not failed:
        raise Failure(f"fsync {n} of the store was not made to fail")
    folder = tempfile.mkdtemp(prefix="pst-")
    try:
        write_files(folder, disk.certain())
        for kind, text in faults_of(folder, acked):
            test.find("acknowledged" if kind == "lost" else kind, f"fsync {n}: {text}, not certainly on the disk")
    finally:
        shutil.rmtree(folder)
    return len(acked)


def fail_one(test, n):
    """The nth fsync of a running gateway; how many events it had acknowledged."""
    with Gateway(test) as gateway:
        gateway.start()
        file = os.path.join(gateway.folder, "trace")
        base, reader = contents(gateway.folder), Reader(gateway.folder, "events.db")
        tracer = Tracer(gateway, file, n)
        with Load(test, gateway, "--connections", 8, "--duration", 60, "--body-size", 3000, "--give-up", 0.3) as load:
            if not eventually(60, lambda: not gateway.running() or was_injected(file), 0.02):
                raise Failure(f"there is no fsync {n}\n{gateway.log_tail()}")
            if not eventually(1 if test.is_control else ENDS_WITHIN, lambda: not gateway.running()):
                gateway.kill()
                tracer.end()
                load.end()
                what_was_certain(test, base, list(reader.read(file)), n)
                test.find("goes on", f"fsync {n}: the gateway does not end")
                return 0
            if (status := gateway.wait(1)) != STORE_FAILED:
                test.find("status", f"fsync {n}: the gateway ended with {status}, not {STORE_FAILED}\n{gateway.log_tail()}")
            tracer.end()
            load.end()
        acked = what_was_certain(test, base, list(reader.read(file)), n)
        recover(test, gateway, load, n)
        return acked


def recover(test, gateway, load, n):
    gateway.start()
    with Load(test, gateway, "--connections", 4, "--requests", 20) as more:
        if (report := more.result())["queued"] != 20:
            test.find("stall", f"after fsync {n} and a restart: {report['statuses']}")
    if (status := gateway.stop()) != 0:
        test.find("stop", f"exit status {status} after fsync {n} and a restart\n{gateway.log_tail()}")
    stored = [row[0] for row in gateway.rows("SELECT external_id FROM event")]
    if lost := set(load.acked()) - set(stored):
        test.find("lost", f"fsync {n}: {len(lost)} acknowledged")
    if len(stored) != len(set(stored)):
        test.find("twice", f"fsync {n}: an event is stored twice")


def folder_synced_later(operations):
    """SQLite passes over a folder that cannot be fsynced; that is as well where the gateway fsyncs it once more before it is ready."""
    failed = next(i for i, operation in enumerate(operations) if isinstance(operation, SyncEnd) and operation.injected)
    return operations[failed].name == "" and SyncEnd("", True, False) in operations[failed:]


def fail_start(test, n):
    """The nth fsync of a start with a new store; False when there are fewer."""
    with Gateway(test) as gateway:
        file, reader = os.path.join(gateway.folder, "trace"), Reader(gateway.folder, "events.db")
        try:
            gateway.start(strace(file, injection(n)))
        except Failure:
            if gateway.running() or gateway.process.returncode == 0:
                test.find("status", f"fsync {n} of the start: the gateway neither starts nor says why\n{gateway.log_tail()}")
        else:
            gateway.kill()
            if not was_injected(file):
                return False
            if not folder_synced_later(list(reader.read(file))):
                test.find("goes on", f"fsync {n} of the start: the gateway starts nevertheless")
        gateway.start()
        if (status := gateway.stop()) != 0:
            test.find("stop", f"exit status {status} after fsync {n} of the start\n{gateway.log_tail()}")
        return True


def run(test):
    if why := why_not():
        raise Skip(why)
    chosen = list(range(1, FSYNCS + 1))
    if test.number < FSYNCS:
        chosen = sorted({1, 2, *test.random.sample(chosen[2:], max(0, test.number - 2))})[:test.number]
    acked = 0
    for done, n in enumerate(chosen):
        acked += fail_one(test, n)
        test.progress(done + 1, f"{acked} acknowledged before")
    starts = 0
    while fail_start(test, starts + 1) and (test.number >= FSYNCS or starts < 1):
        starts += 1
    return f"{len(chosen)} fsyncs failed after {acked} acknowledged events, {starts} more at the start; status {STORE_FAILED} each time"


if __name__ == "__main__":
    sys.exit(main(BAR, run))
