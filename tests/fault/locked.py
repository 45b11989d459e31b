#!/usr/bin/env python3
"""Another program holds the store's write lock for longer than the gateway is willing to wait.

Bars: a sender that comes meanwhile is told 503 within 3 s; the gateway stays, and stores again at once when the lock is gone; what was
acknowledged is there, what was settled meanwhile is settled in the end. Control: wait_for_locks, which waits as long as it takes.
"""

import sqlite3
import sys
import time

from bars import Bar, main
from gateway import Failure, Gateway, eventually
from probe import Senders, entry, event

BAR = Bar("database locked", "locks", 20, "wait_for_locks", frozenset({"late"}), __doc__)
REFUSED_WITHIN, BUSY_MACHINE = 3.0, 30.0
BACK_WITHIN = 5.0
EVENTS_BETWEEN = 50
STATEMENTS = ("BEGIN IMMEDIATE", "BEGIN EXCLUSIVE")  # the same for a writer; readers differ


class Lock:
    def __init__(self, store, statement):
        self._database = sqlite3.connect(store, timeout=10, isolation_level=None)
        self._database.execute(statement)

    def release(self):
        self._database.execute("ROLLBACK")
        self._database.close()


def lock_once(test, gateway, number):
    """How long one sender waited for its 503."""
    lock = Lock(gateway.store, STATEMENTS[number % len(STATEMENTS)])
    body = event("done", f"locked{number}").partition(b"\r\n\r\n")[2]
    begin = time.monotonic()
    within = REFUSED_WITHIN if test.is_control else test.patience(REFUSED_WITHIN, BUSY_MACHINE)
    try:
        status = gateway.request("POST", "/probe", body, seconds=within + 1)[0]
    except OSError:
        status = 0
    waited = time.monotonic() - begin
    if status != 503:
        test.find("late" if status == 0 else "wrong", f"lock {number}: {status or 'no answer'} after {waited:.1f} s")
    elif waited > within:
        test.find("late", f"lock {number}: 503 only after {waited:.1f} s")
    lock.release()
    begin = time.monotonic()
    if not eventually(BACK_WITHIN, lambda: gateway.request("POST", "/probe", body)[0] == 200):
        test.find("away", f"lock {number}: not back {time.monotonic() - begin:.1f} s after the lock was gone")
    if not gateway.running():
        raise Failure(f"lock {number}: the gateway has ended:\n{gateway.log_tail()}")
    return waited


def run(test):
    slowest, acked = 0.0, []
    with Gateway(test, plugins=entry(test)) as gateway:
        gateway.start()
        for number in range(1, test.number + 1):
            # Some of these are settled while the lock is held.
            with Senders(gateway, lambda n, lock=number: (f"e{lock}.{n}", event("done", f"e{lock}.{n}")), 4, EVENTS_BETWEEN) as senders:
                senders.join()
            slowest = max(slowest, lock_once(test, gateway, number))
            acked += senders.acked
            test.progress(number, f"503 after at most {slowest:.2f} s")
        eventually(120, lambda: gateway.unsettled() == 0, 0.05)
        if (status := gateway.stop()) != 0:
            test.find("stop", f"exit status {status}\n{gateway.log_tail()}")
        stored = dict(gateway.rows("SELECT external_id, count(*) FROM event GROUP BY external_id"))
        if lost := [identity for identity in acked if stored.get(identity) != 1]:
            test.find("lost", f"{len(lost)} of {len(acked)} are not stored once, such as {lost[0]}")
        if left := gateway.unsettled():
            test.find("stall", f"{left} deliveries are not settled")
    return f"{test.number} locks, 503 after at most {slowest:.2f} s, {len(acked)} events acknowledged between them"


if __name__ == "__main__":
    sys.exit(main(BAR, run))
