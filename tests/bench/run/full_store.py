"""The rate with a full store against that with an empty one. Both alternate: the machine may be slower at the end of a long run."""

import time

import report
from measure import MESSAGES, Comparison
from servers import Failure, end


def fill_up(full, generator, progress, count, connections):
    """Stores and handles `count` events with random ids; tells how fast."""
    progress.begin(f"postern: storing {count:,} events")
    begin = time.monotonic()
    process = generator.start(full, MESSAGES, connections, "--requests", str(count))
    try:
        while process.poll() is None:
            progress.tell(f"{full.counters()['events']:,}")
            time.sleep(0.5)
        load = generator.result(process, full)
    finally:
        end(process)
    if load["acked"] != count or load["queued"] != count:
        raise Failure(f"only {load['queued']} of {count} events were stored: {load['statuses']}")
    stored = time.monotonic()
    progress.done(f"{load['acks_per_s']:,.0f}/s")
    progress.begin("postern: handling what is queued")
    before = full.counters()
    after = full.drain(lambda queued: progress.tell(f"{queued:,} left"))
    seconds = time.monotonic() - stored
    fill = {"events": count, "seconds": stored - begin, "acks_per_s": load["acks_per_s"], "p99_us": load["p99_us"],
            "drain_seconds": seconds, "drain_settled_per_s": (after["settled"] - before["settled"]) / seconds,
            "store_mib": full.store_mib(), "dead": after["dead"], "version": full.status()["version"]}
    progress.done(f"{fill['drain_settled_per_s']:,.0f}/s")
    return fill


def compare(make_postern, generator, progress, measure, count, connections, rounds):
    """(Comparison, how it was filled). make_postern(folder's name) is a new server, measure(server, what) one Round."""
    comparison = Comparison(MESSAGES.title + ", full store", connections, ("postern, empty", f"postern, {count:,} stored"))
    with make_postern("full") as full:
        fill = fill_up(full, generator, progress, count, connections)
        for number in range(rounds):
            what = f"round {number + 1} of {rounds}"
            with make_postern("postern") as empty:
                first = measure(empty, f"postern: empty store, {what}")
            second = measure(full, f"postern: full store, {what}")
            full.drain()
            comparison.rounds.append((first, second))
    return comparison, fill


def disk_bytes(count):
    """What is stored, and what the rounds add to it."""
    return 2 * 2**30 + count * 10 * 1024


def print_full_store(comparison, fill):
    report.print_table("Full store; the ratio is its rate to that of an empty one", [comparison])
    print(f"  {fill['events']:,} events were stored at {fill['acks_per_s']:,.0f}/s and handled at "
          f"{fill['drain_settled_per_s']:,.0f}/s afterwards; the store has {fill['store_mib']:,.0f} MiB then")
