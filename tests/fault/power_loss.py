#!/usr/bin/env python3
"""Power loss: the gateway under load is recorded with strace, each write to its store with its bytes, each fsync, each acknowledgement.
Then disks are made as a power cut at a random moment may leave them (disk.py says what may be lost), and the store is opened on each.

Bars: every event that was acknowledged before the cut is there, nothing is corrupt, no event is without its delivery, no delivery is
done without its effects. On every hundredth disk (in short forms: a few) the gateway itself starts, and has to know what it had
acknowledged. A record holds two lives of a gateway, with a stop and a start between them. Control: sync_off, which fsyncs nothing.
"""

import contextlib
import os
import shutil
import sqlite3
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

from bars import Bar, Skip, main
from disk import Disk
from gateway import Failure, Gateway, Load
from system_calls import Ack, Reader, SyncBegin, SyncEnd, Write, strace, why_not

BAR = Bar("power loss", "crash images", 5000, "sync_off", frozenset({"lost", "corrupt"}), __doc__)
IMAGES_PER_RECORD = 1000
EVENTS_PER_LIFE, EVENTS_AT_LEAST = 1500, 600
CHECKPOINTS = 6  # fsyncs of the database: two when it is made, two at the stops, the others under load
GATEWAY_ON_EVERY = 100

_WITHOUT_DELIVERY = "SELECT count(*) FROM event e LEFT JOIN delivery d ON d.seq = e.first_delivery WHERE d.seq IS NULL"
# The plugin's handler writes a message for each of these events.
_WITHOUT_EFFECT = """SELECT count(*) FROM delivery d JOIN event e ON e.seq = d.event WHERE d.state = 'done'
  AND 'AC' || substr(e.external_id, 3) NOT IN (SELECT key FROM record WHERE collection = 'messages'
                                    UNION ALL SELECT key FROM record_log WHERE collection = 'messages')"""


def record(test, gateway, count):
    """Two lives of the gateway under load: its operations, in order."""
    events = min(EVENTS_PER_LIFE, max(EVENTS_AT_LEAST, count))
    operations = []
    for life in range(2):
        file = os.path.join(gateway.folder, f"trace.{life}")
        reader = Reader(gateway.folder, "events.db")
        gateway.start(strace(file, "--seccomp-bpf"), seconds=120)
        with Load(test, gateway, "--connections", 32, "--requests", events, "--body-size", 3000, "--conversations", 200,
                  "--timeout", 120) as load:
            report = load.result()
        if report["acked"] < events:
            raise Failure(f"only {report['acked']} of {events} events were acknowledged: {report['statuses']}")
        if (status := gateway.stop(120)) != 0:
            raise Failure(f"the recorded gateway ended with {status}:\n{gateway.log_tail()}")
        operations.extend(reader.read(file))
        os.remove(file)
    if not test.is_control and operations.count(SyncEnd("events.db", True, False)) < CHECKPOINTS:
        raise Failure("the record has too few checkpoints to be worth anything: record more events")
    return operations


def crash_points(test, operations, count):
    """Half of them anywhere, half of them between operations of the disk, where most can go wrong."""
    of_disk = [i for i, operation in enumerate(operations) if isinstance(operation, (Write, SyncBegin, SyncEnd))]
    first_ack = next(i for i, operation in enumerate(operations) if isinstance(operation, Ack))
    points = [test.random.randrange(first_ack, len(operations)) for _ in range(count - count // 2)]
    points += [test.random.choice(of_disk) for _ in range(count // 2)]
    return sorted(points)


def images(test, operations, count):
    """(what was acknowledged before, the files) at each crash point."""
    disk, acked, at = Disk(), set(), 0
    for point in crash_points(test, operations, count):
        for operation in operations[at:point + 1]:
            if isinstance(operation, Ack):
                acked.add(operation.event_id)
            else:
                disk.apply(operation)
        at = point + 1
        yield frozenset(acked), disk.image(test.random)


def faults_of(folder, acked):
    """What is wrong with the store in `folder`: pairs of kind and text."""
    file = os.path.join(folder, "events.db")
    if not os.path.exists(file):
        return [("lost", f"there is no store, with {len(acked)} acknowledged")] if acked else []
    try:
        with contextlib.closing(sqlite3.connect(file)) as database:
            return list(_look(database, acked))
    except sqlite3.DatabaseError as error:
        return [("corrupt", str(error))]


def _look(database, acked):
    if (said := database.execute("PRAGMA integrity_check").fetchall()) != [("ok",)]:
        yield "corrupt", str(said[:3])
    if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'event'").fetchone():
        if acked:
            yield "lost", f"the store is empty, with {len(acked)} acknowledged"
        return
    stored = [row[0] for row in database.execute("SELECT id FROM event")]
    if len(stored) != len(set(stored)):
        yield "twice", "an event is stored twice"
    if lost := acked.difference(stored):
        yield "lost", f"{len(lost)} of {len(acked)} acknowledged"
    if bare := database.execute(_WITHOUT_DELIVERY).fetchone()[0]:
        yield "half", f"{bare} events without their delivery"
    if bare := database.execute(_WITHOUT_EFFECT).fetchone()[0]:
        yield "half", f"{bare} deliveries are done without their effects"


def write_files(folder, files):
    for name, content in files.items():
        with open(os.path.join(folder, name), "wb") as file:
            file.write(content)


def check(acked, files):
    folder = tempfile.mkdtemp(prefix="pst-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
    try:
        write_files(folder, files)
        return faults_of(folder, acked)
    finally:
        shutil.rmtree(folder)


def check_with_gateway(test, recorded, acked, files):
    """Starts the gateway itself on the disk; it has to recognise what it had acknowledged, and to end in order."""
    with Gateway(test) as gateway:
        gateway.secret = recorded.secret
        gateway.environment["POSTERN_LOAD_SECRET"] = recorded.secret
        write_files(gateway.folder, files)
        gateway.start()
        with Load(test, gateway, "--connections", 8, "--requests", 50) as load:
            report = load.result()
        if report["queued"] != 50:
            test.find("stall", f"new events on a recovered store: {report['statuses']}")
        if (status := gateway.stop()) != 0:
            test.find("stop", f"exit status {status} on a recovered store\n{gateway.log_tail()}")
        for kind, text in faults_of(gateway.folder, acked):
            test.find(kind, f"{text}, after the gateway had started on it")


def check_record(test, count, done):
    """Records once, and looks at `count` images; the events acknowledged in the record, and how often the gateway started."""
    starts = 0
    with Gateway(test) as gateway, ThreadPoolExecutor(os.cpu_count()) as pool:
        operations = record(test, gateway, count)
        step = min(GATEWAY_ON_EVERY, max(1, count // 3))
        waiting = []

        def collect(most):
            while len(waiting) > most:
                acked, files, future = waiting.pop(0)
                for kind, text in future.result():
                    test.find(kind, text)

        for i, (acked, files) in enumerate(images(test, operations, count)):
            waiting.append((acked, files, pool.submit(check, acked, files)))
            collect(2 * os.cpu_count())
            if i % step == step - 1 and "events.db" in files:
                collect(0)
                check_with_gateway(test, gateway, acked, files)
                starts += 1
            test.progress(done + i + 1)
        collect(0)
    return sum(isinstance(operation, Ack) for operation in operations), starts


def run(test):
    if why := why_not():
        raise Skip(why)
    done = acked = starts = 0
    while done < test.number:
        count = min(IMAGES_PER_RECORD, test.number - done)
        more_acked, more_starts = check_record(test, count, done)
        done, acked, starts = done + count, acked + more_acked, starts + more_starts
    return f"{done} crash images of {acked} acknowledged events, the gateway started on {starts} of them"


if __name__ == "__main__":
    sys.exit(main(BAR, run))
