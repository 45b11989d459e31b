"""tests/bench/mail.sh: how fast mails leave Postern, through a real mail server, and through one that keeps nothing."""

import argparse
import email
import email.policy
import os
import statistics
import sys
import time

import machine
import report
import session
from mail_servers import MailPostern, RealMailServer, Sink
from servers import Failure

LEAST_MAILS_PER_S = 500
STALLS_AFTER = 60
KINDS = (RealMailServer, Sink)


def parse(arguments):
    parser = argparse.ArgumentParser(
        prog="tests/bench/mail.sh", description=__doc__.partition(": ")[2],
        epilog="Exit: 0 measured (and in full mode the bar met), 1 the bar missed or the measurement failed, 2 wrong usage or something is "
               "missing. As root, as Postfix wants it. First: packaging/install-dependencies.sh test, "
               "cmake --preset release && cmake --build --preset release")
    parser.add_argument("servers", nargs="*", metavar="SERVER", help=f"of {', '.join(kind.name for kind in KINDS)}; default: all")
    parser.add_argument("--quick", action="store_true", help="2,000 mails, one round; a missed bar is not an error")
    parser.add_argument("--json", metavar="FILE", help="write all figures to FILE")
    parser.add_argument("--build", metavar="DIR", default=session.RELEASE, help="the build that is measured (default: build/release)")
    parser.add_argument("--mails", type=int, help="of each round (default: 10,000, quick: 2,000)")
    parser.add_argument("--size", type=int, default=1024, help="of a mail's text, in bytes (default: 1024)")
    parser.add_argument("--connections", type=int, default=4, help="to the mail server (default: 4)")
    parser.add_argument("--rounds", type=int, help="for each server; the median counts (default: 3, quick: 1)")
    options = parser.parse_args(arguments)
    if unknown := sorted(set(options.servers) - {kind.name for kind in KINDS}):
        parser.error(f"there is no server {unknown[0]}; there are {', '.join(kind.name for kind in KINDS)}")
    options.kinds = [kind for kind in KINDS if not options.servers or kind.name in options.servers]
    options.mails = options.mails or (2_000 if options.quick else 10_000)
    options.rounds = options.rounds or (1 if options.quick else 3)
    if options.mails < 100 or options.size < 1 or not 1 <= options.connections <= 32 or options.rounds < 1:
        parser.error("--mails is at least 100, --size and --rounds at least 1, --connections 1 to 32")
    options.build = os.path.abspath(options.build)
    return options


def wait_for(count, wanted, server, tell):
    """Until so many are there, or none comes any more."""
    last, since = 0, time.monotonic()
    while (now := count()) < wanted:
        if now != last:
            last, since = now, time.monotonic()
        if time.monotonic() - since > STALLS_AFTER:
            raise Failure(f"only {now} of {wanted} mails are through\n{server.log_tail()}")
        tell(f"{now:,} sent")
        time.sleep(0.1)


def check_inbox(paths, mails):
    """Each mail once, as the email package reads it."""
    subjects = set()
    for path in paths:
        with open(path, "rb") as file:
            subjects.add(email.message_from_binary_file(file, policy=email.policy.default)["subject"])
    if len(paths) != mails or subjects != {f"Mail m{number}" for number in range(mails)}:
        raise Failure(f"{len(paths)} mails are in the inbox, {len(subjects)} different ones; {mails} were ordered")


def measure(options, folder, kind, progress):
    """One round: mails that wait already go out. Times are those at which Postern's store has a mail as done."""
    with kind(os.path.join(folder, kind.name)) as server, MailPostern(os.path.join(folder, "gateway"), options.build,
                                                                    options.connections) as gateway:
        gateway.feed(options.mails, options.size)
        progress.tell("fed")
        server_cpu = machine.cpu_seconds(server.pids())
        gateway.send_to(server)
        begin = time.monotonic()
        wait_for(lambda: gateway.count("done"), options.mails, gateway, progress.tell)
        busy = time.monotonic() - begin
        cpu = {"gateway": machine.cpu_seconds(gateway.pids()), "server": machine.cpu_seconds(server.pids()) - server_cpu}
        first, last = gateway.rows("SELECT min(settled_at), max(settled_at) FROM delivery WHERE subscriber = 'send' AND state = 'done'")[0]
        attempts = gateway.rows("SELECT sum(attempts) FROM delivery WHERE subscriber = 'send'")[0][0]
        figures = {"mails_per_s": (options.mails - 1) * 1000 / max(1, last - first), "seconds": (last - first) / 1000,
                   "attempts_per_mail": attempts / options.mails, "gateway_cpu_ms": cpu["gateway"] * 1000 / options.mails,
                   "server_cpu_ms": cpu["server"] * 1000 / options.mails, "cpus_busy": sum(cpu.values()) / busy / machine.cpus()}
        if kind.stores:
            wait_for(server.delivered, options.mails, gateway, progress.tell)
            figures["inbox_per_s"] = options.mails / (time.monotonic() - begin)
            check_inbox(server.mails(), options.mails)
        return figures


def print_rounds(options, kind, rounds):
    print("\n" + report.paint(f"{kind.title}: {options.mails:,} mails of {options.size:,} bytes, {options.connections} connections", "bold"))
    for one in rounds:
        inbox = f"  in the inbox {one['inbox_per_s']:,.0f}/s" if kind.stores else ""
        print(f"  {one['mails_per_s']:,.0f} mails/s in {one['seconds']:.1f} s{inbox}  CPU of a mail: Postern {one['gateway_cpu_ms']:.2f} ms, "
              f"mail server {one['server_cpu_ms']:.2f} ms; {one['cpus_busy']:.0%} of the processors by both")


def median(rounds):
    return statistics.median(one["mails_per_s"] for one in rounds)


def main(arguments):
    options = parse(arguments)

    def work(folder, facts):
        os.chmod(folder, 0o755)  # the mail server's users have to pass
        progress = report.Progress(options.rounds * len(options.kinds))
        all_rounds = {}
        for kind in options.kinds:
            rounds = all_rounds[kind.name] = []
            for number in range(options.rounds):
                progress.begin(f"{kind.name}: round {number + 1} of {options.rounds}")
                round_folder = os.path.join(folder, f"{kind.name}{number}")
                os.mkdir(round_folder, 0o755)
                rounds.append(measure(options, round_folder, kind, progress))
                progress.done(f"{rounds[-1]['mails_per_s']:,.0f}/s")
        for kind in options.kinds:
            print_rounds(options, kind, all_rounds[kind.name])
        bars = []
        if RealMailServer.name in all_rounds:
            value = median(all_rounds[RealMailServer.name])
            bars = [{"name": "mails a second through the real server", "value": value, "wanted": LEAST_MAILS_PER_S,
                     "met": value >= LEAST_MAILS_PER_S}]
            report.print_bars(bars, not options.quick)
        if options.json:
            session.write_json(options.json, {"mode": "quick" if options.quick else "full", "machine": facts, "mails": options.mails,
                                              "size": options.size, "connections": options.connections, "rounds": all_rounds, "bars": bars})
        return 0 if options.quick or all(bar["met"] for bar in bars) else 1

    lacking = session.missing(options.build, "plugins/smtp.so") or next(filter(None, (kind.missing() for kind in options.kinds)), None)
    return session.run("mail.sh", options, lacking, session.GIB, work)


sys.exit(main(sys.argv[1:]))
