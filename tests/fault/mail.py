#!/usr/bin/env python3
"""SIGKILL of the gateway and of the mail server, while mails go out: each mail is stored, and twice only where a connection was lost.

A real Postfix (STARTTLS, AUTH; tests/support/mail/postfix.py) takes the mails, and both are killed again and again, a time of each for 500
mails. A proxy between them (dot_proxy.py) is the witness: it notes each mail whose final dot came, and which reply went back. A connection
is lost after the dot when no reply went back, or when the gateway was killed before what it had heard was durable: its store says so after
each kill. A connection may be lost with two mails: behind the dot of one, while the reply to the one before is made durable. In the end the
stored mails are read with Python's email package. Bars: each mail that POST /api/v1/email/send acknowledged is stored; none more often than
connections were lost with it; all copies of one have one Message-ID, and no two mails the same; all deliveries are done, with their record.
Control: forget_outcomes, which mails again though the server has said that it has the mail.
"""

import bisect
import collections
import email
import email.policy
import json
import os
import re
import secrets
import sys
import tempfile
import time

from bars import Bar, Skip, main
from gateway import Failure, Gateway, eventually
from probe import Senders

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support/mail"))
import postfix  # noqa: E402
from certificates import make_certificates  # noqa: E402
from dot_proxy import DotProxy  # noqa: E402

BAR = Bar("mail", "mails", 10_000, "forget_outcomes", frozenset({"twice"}), __doc__)
MAILS_PER_KILL, LEAST_KILLS = 500, 2  # of each of both
PAUSE_S = 0.02  # of each sender: the mails shall come while there are kills
STALLS_AFTER = 60.0
USER, PASSWORD = "postern@mail.postern.test", "correct-horse-battery"
TOKEN = secrets.token_hex(16)

_PLUGIN = """  - name: smtp
    library: smtp.so
    deadline: 3m
    retry: {{attempts: 100, base: 50ms, cap: 500ms}}
    breaker: {{failures: 20, open_for: 200ms}}
    config:
      host: localhost
      port: {port}
      ca_file: {ca}
      user: {user}
      password: {password}
      from: Postern <postern@example.com>
      health: {{connect: false}}
      api: {{tokens: [{token}]}}
"""
_QUEUE_ID = re.compile(r"\bid ([0-9A-Za-z]+)\b")


def make(n):
    identity = f"m{n}"
    body = json.dumps({"to": f"reader{n % 50}@example.com", "subject": f"Mail {identity}", "text": text_of(identity)}).encode()
    head = (f"POST /api/v1/email/send HTTP/1.1\r\nHost: postern\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {TOKEN}\r\nIdempotency-Key: {identity}\r\nContent-Length: {len(body)}\r\n\r\n")
    return identity, head.encode() + body


def text_of(identity):
    return f"The mail {identity}.\n.\nIts end: ü\n"


class Kills:
    """When the gateway was killed, and whose delivery was done in its store then."""

    def __init__(self):
        self.begun, self.at, self.done = [], [], []

    def kill(self, gateway):
        self.begun.append(time.monotonic())
        gateway.kill()
        self.note(gateway)

    def note(self, gateway):
        self.at.append(time.monotonic())
        self.done.append(done_ids(gateway))

    def of(self, mail):
        """When the gateway that sent it was killed (never: infinitely late), and which deliveries were done in its store then."""
        life = bisect.bisect_left(self.at, mail.connected_at)
        return self.begun[life] if life < len(self.begun) else float("inf"), self.done[life]


def done_ids(gateway):
    return {row[0] for row in gateway.rows("SELECT e.external_id FROM delivery d JOIN event e ON e.seq = d.event "
                                           "WHERE d.subscriber = 'send' AND d.state = 'done'")}


def kill_both(test, gateway, server, proxy, kills, senders):
    """At moments that nobody can foresee, while mails go through."""
    times = max(LEAST_KILLS, test.number // MAILS_PER_KILL)
    victims = ["gateway", "server"] * times
    test.random.shuffle(victims)
    moments = sorted(test.random.randrange(test.number) for _ in victims)
    for victim, moment in zip(victims, moments):
        seen = len(proxy.mails)
        while len(proxy.mails) < moment:
            if not eventually(STALLS_AFTER, lambda: len(proxy.mails) > seen or
                              not gateway.unsettled() and len(senders.acked) == test.number):
                raise Failure(f"no mail goes out any more, after {seen}\n{gateway.log_tail()}\n{server.log_tail()}")
            if len(proxy.mails) == seen:
                break  # all are through
            seen = len(proxy.mails)
        time.sleep(test.random.uniform(0, 0.02))
        if victim == "gateway":
            kills.kill(gateway)
            gateway.start()
        else:
            server.kill()
            time.sleep(test.random.uniform(0, 0.2))
            server.start()
        test.progress(len(proxy.mails), "sent")
    return times


def wait_until_settled(test, gateway, server, proxy):
    while gateway.unsettled() or server.queued():
        def left():
            return gateway.unsettled() + server.queued()
        if not eventually(STALLS_AFTER, lambda before=left(): left() < before or not before, 0.1):
            raise Failure(f"{gateway.unsettled()} deliveries are not settled, {server.queued()} mails wait in the server\n"
                          f"{gateway.log_tail()}\n{server.log_tail()}")
        test.progress(len(proxy.mails), f"sent, {gateway.unsettled()} left")


class Stored:
    """The mails in the server's inbox, read with the email package."""

    def __init__(self, test, server):
        self.copies = collections.defaultdict(set)  # id: the server's names of them
        self.message_ids = collections.defaultdict(set)
        self.delivered_again = 0  # by the server itself, which was killed between the inbox and its queue
        for path in server.mails():
            with open(path, "rb") as file:
                mail = email.message_from_binary_file(file, policy=email.policy.default)
            identity = mail["subject"].removeprefix("Mail ")
            queue_id = _QUEUE_ID.search(mail["received"]).group(1)
            self.delivered_again += queue_id in self.copies[identity]
            self.copies[identity].add(queue_id)
            self.message_ids[identity].add(mail["message-id"])
            if mail.get_content() != text_of(identity) or mail.defects:
                test.find("changed", f"{identity} is stored as {mail.get_content()!r}, {mail.defects}")

    def twice(self):
        return sum(len(copies) - 1 for copies in self.copies.values())


def look_at_ids(test, stored):
    owner = {}
    for identity, ids in stored.message_ids.items():
        if len(ids) != 1:
            test.find("ids", f"{identity} came with {ids}")
        for one in ids:
            if owner.setdefault(one, identity) != identity:
                test.find("ids", f"{identity} and {owner[one]} have the same Message-ID")
    return owner


def count_lost(proxy, kills, identity_of):
    """Mails whose connection was lost after the final dot, with how often; the number of these connections; why."""
    lost, connections = collections.Counter(), set()
    without_reply = before_durable = 0
    for mail in proxy.mails:
        identity = identity_of.get(mail.message_id)
        killed_at, done = kills.of(mail)
        if mail.code >= 300 or mail.code != 0 and identity in done:
            continue
        if mail.code == 0 or mail.replied_at >= killed_at:  # nobody was there any more to hear it
            without_reply += 1
        else:
            before_durable += 1
        lost[identity] += 1
        connections.add(mail.connection)
    return lost, len(connections), without_reply, before_durable


def compare(test, gateway, acked, stored, lost):
    if missing := set(acked) - stored.copies.keys():
        test.find("lost", f"{len(missing)} of {len(acked)} acknowledged mails are not stored, such as {missing.pop()}")
    for identity, copies in stored.copies.items():
        if len(copies) - 1 > lost[identity]:
            test.find("twice", f"{identity} is stored {len(copies)} times, though {lost[identity]} connections were lost after its dot")
    for identity, state, error in gateway.rows(
            "SELECT e.external_id, d.state, d.last_error FROM delivery d JOIN event e ON e.seq = d.event WHERE d.state != 'done'"):
        test.find("dead", f"{identity} is {state}: {error}")
    records = dict(gateway.rows("SELECT key, value FROM record WHERE collection = 'mails'"))
    records.update(gateway.rows("SELECT key, value FROM record_log WHERE collection = 'mails' AND seq > "
                                "(SELECT value FROM meta WHERE name = 'record_merged_seq') ORDER BY seq"))
    accepted = sum(1 for value in records.values() if all(one["state"] == "accepted" for one in json.loads(value)["recipients"].values()))
    if accepted != len(acked):
        test.find("lost", f"{accepted} records say that a mail was accepted, of {len(acked)}")


def run(test):
    if why := postfix.missing():
        raise Skip(why)
    with tempfile.TemporaryDirectory(prefix="pst-mail-", dir="/tmp") as folder:
        os.chmod(folder, 0o755)
        ca, certificate, key = make_certificates(folder)
        with postfix.Postfix(os.path.join(folder, "postfix"), certificate, key, USER, PASSWORD) as server:
            proxy = DotProxy(server.port, ca, certificate, key)
            plugin = _PLUGIN.format(port=proxy.port, ca=ca, user=USER, password=PASSWORD, token=TOKEN)
            with Gateway(test, plugins=plugin) as gateway:
                return try_both(test, gateway, server, proxy)


def try_both(test, gateway, server, proxy):
    kills = Kills()
    gateway.start()
    with Senders(gateway, make, most=test.number, pause=PAUSE_S) as senders:
        times = kill_both(test, gateway, server, proxy, kills, senders)
        senders.join()
    wait_until_settled(test, gateway, server, proxy)
    if (status := gateway.stop()) != 0:
        test.find("stop", f"exit status {status}\n{gateway.log_tail()}")
    kills.note(gateway)
    stored = Stored(test, server)
    lost, connections, without_reply, before_durable = count_lost(proxy, kills, look_at_ids(test, stored))
    compare(test, gateway, senders.acked, stored, lost)
    return (f"{times} kills of each, {len(senders.acked)} mails acknowledged, {len(stored.copies)} stored, {stored.twice()} of them twice; "
            f"{connections} connections lost after the final dot, with {lost.total()} mails ({without_reply} without a reply, {before_durable} "
            f"while the reply was made durable); {stored.delivered_again} delivered again by the server itself")


if __name__ == "__main__":
    sys.exit(main(BAR, run))
