#!/usr/bin/env python3
"""SIGKILL while handlers are settled: what a handler did counts exactly when its delivery is done, and once.

Each event's handler appends the event's id to a record, emits an event, whose handler appends another id, and sets a timer, whose event does
so as well. Bars: for every delivery that is done its id is in the record once, its event was emitted once, and its timer waits or has fired
once; for every other one nothing of it; and in the end all are done.
Control: lose_effects, which commits the effects after the outcome.
"""

import json
import sys
import time

import probe
from bars import Bar, main
from gateway import Failure, Gateway, eventually

BAR = Bar("SIGKILL while settling", "kills", 1000, "lose_effects", frozenset({"lost", "twice"}), __doc__)
EVENTS_PER_RECORD = 8
FOLLOWED, TIMED = "probe.followed", "probe.timer"
TIMER_MS = 30
STALLS_AFTER = 30.0
PAUSE_S = 0.005  # of each sender: more than is settled between two kills would only pile up, until there are too many timers
LOOK_EVERY = 100  # kills; what is lost once stays lost


def make(n):
    identity = f"e{n}"
    return identity, probe.event("emit", identity, key=f"k{n // EVENTS_PER_RECORD}", timer=identity, ms=str(TIMER_MS))


def written_ids(gateway):
    """The ids in the records, with how often. What the log of records has is newer than the table."""
    newest = dict(gateway.rows("SELECT key, value FROM record WHERE collection = 'order'"))
    newest.update(gateway.rows("SELECT key, value FROM record_log WHERE collection = 'order' AND seq > "
                               "(SELECT value FROM meta WHERE name = 'record_merged_seq') ORDER BY seq"))
    counts = {}
    for value in newest.values():
        for identity in json.loads(value):
            counts[identity] = counts.get(identity, 0) + 1
    return counts


def look(test, gateway):
    """Compares outcomes with effects, while no gateway runs; the number of deliveries that are done."""
    written = written_ids(gateway)
    emitted = dict(gateway.rows("SELECT body, count(*) FROM event WHERE type = ? GROUP BY body", FOLLOWED))
    emitted = {json.loads(body)["id"].removeprefix("follow-"): count for body, count in emitted.items()}
    timers = dict(gateway.rows("SELECT name, sum(n) FROM (SELECT name, 1 AS n FROM timer UNION ALL "
                               "SELECT external_id, 1 FROM event WHERE type = ?) GROUP BY name", TIMED))
    done = 0
    for body, state, kind in gateway.rows("SELECT e.body, d.state, e.type FROM delivery d JOIN event e ON e.seq = d.event"):
        identity = json.loads(body)["id"]
        wanted = 1 if state == "done" else 0
        done += wanted
        effects = {"record": written.pop(identity, 0)}
        if kind not in (FOLLOWED, TIMED):
            effects["emitted event"] = emitted.pop(identity, 0)
            effects["timer"] = timers.pop(identity, 0)
        for effect, count in effects.items():
            if count != wanted:
                test.find("lost" if count < wanted else "twice", f"{identity} is {state} and has its {effect} {count} times")
    for identity in {*written, *emitted, *timers}:
        test.find("strange", f"effects of {identity}, which was never stored")
    return done


def drain(gateway):
    """Until all is done, or nothing gets done any more: much may wait in the end, and each event makes two more deliveries."""
    def done():
        return gateway.number("SELECT count(*) FROM delivery WHERE state = 'done'")

    while gateway.unsettled() or gateway.number("SELECT count(*) FROM timer"):
        if not eventually(STALLS_AFTER, lambda seen=done(): done() > seen, 0.5):
            return


def run(test):
    with Gateway(test, dispatch="retry: {attempts: 100, base: 1ms, cap: 5ms}", plugins=probe.entry(test)) as gateway:
        gateway.start()
        with probe.Senders(gateway, make, pause=PAUSE_S) as senders:
            for kill in test.cycles():
                before = len(senders.acked)
                if not eventually(30, lambda: len(senders.acked) > before):
                    raise Failure(f"nothing is acknowledged\n{gateway.log_tail()}")
                time.sleep(test.random.uniform(0.03, 0.3))
                gateway.kill()
                if kill % LOOK_EVERY == 1 or test.is_control:
                    look(test, gateway)
                gateway.start()
                test.progress(kill, f"{len(senders.acked)} acknowledged")
        drain(gateway)
        if (status := gateway.stop()) != 0:
            test.find("stop", f"exit status {status}\n{gateway.log_tail()}")
        done = look(test, gateway)
        if open_or_dead := gateway.number("SELECT count(*) FROM delivery WHERE state != 'done'"):
            test.find("stall", f"{open_or_dead} deliveries are not done in the end")
        if lost := set(senders.acked) - {row[0] for row in gateway.rows("SELECT external_id FROM event")}:
            test.find("lost", f"{len(lost)} of {len(senders.acked)} acknowledged, such as {lost.pop()}")
        if done != 3 * gateway.number("SELECT count(*) FROM event WHERE type NOT IN (?, ?)", FOLLOWED, TIMED):
            test.find("lost", "not every event has its delivery, its follow-on and its timer")
    return f"{test.number} kills, {len(senders.acked)} events acknowledged, {done} deliveries done, effects of each once"


if __name__ == "__main__":
    sys.exit(main(BAR, run))
