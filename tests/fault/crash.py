#!/usr/bin/env python3
"""One event in a hundred of a plugin ends the gateway: by a signal, or without a word. A supervisor starts it again each time.

Bars: with --timed it answers again within 1 s each time; nothing acknowledged is lost; each event whose handler came through has its effect
once; those that always crash are dead after crash_attempts, with what they crashed of, and nobody else pays for them. Then a plugin that
crashes too often is not called: its events wait, others' go on; it is back by command, after its time, and with another build.
Control: forget_crashes, where nobody counts what ended the life before.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time

import probe
from bars import Bar, main
from gateway import Failure, Gateway, eventually
from settling import written_ids

BAR = Bar("crash", "events", 20000, "forget_crashes", frozenset({"undead"}), __doc__)
BAD_EVERY = 100
WAYS = ("segv", "abort", "overflow", "exit")  # the last one without a word
BACK_S = 1.0
MOST_ENDS = 4  # of a bad one: twice that it is tried, and each time with others and then alone, if it goes without a word
QUARANTINE_CRASHES, QUARANTINE_S = 3, 6
BUILD, OTHER_BUILD = b"probe-build-1", b"probe-build-2"


class Supervisor:
    """Starts the gateway again whenever it has ended."""

    def __init__(self, test, gateway):
        self._test, self._gateway = test, gateway
        self.ends = []  # exit statuses
        self.back = []  # seconds from the end to the next answer

    def watch(self):
        """Whether it had to be started."""
        if self._gateway.running():
            return False
        begin = first = time.monotonic()
        while not self._gateway.running() or not self._gateway.answers():
            if not self._gateway.running():  # once more, it may be, before it has answered
                self.ends.append(self._gateway.process.returncode)
                if self.ends[-1] in (0, 1, 74, 75):
                    raise Failure(f"the gateway ended with status {self.ends[-1]}\n{self._gateway.log_tail()}")
                begin = time.monotonic()
                self._gateway.launch()
            if time.monotonic() - first > 60:
                raise Failure(f"the gateway does not answer\n{self._gateway.log_tail()}")
            time.sleep(0.002)
        self.back.append(time.monotonic() - begin)
        self._test.bar_of_time(self.back[-1], BACK_S, "to be back in service")
        return True

    def until(self, condition, seconds, most_ends):
        """Watches until the condition holds; False when it does not in time, or the gateway ends too often."""
        last = time.monotonic() + seconds
        while time.monotonic() < last and len(self.ends) <= most_ends:
            looked = time.monotonic()
            if not self.watch() and condition():
                return True
            while time.monotonic() - looked < 0.05 and not self.watch():
                time.sleep(0.002)
        return False


def way_of(number):
    return WAYS[number // BAD_EVERY % len(WAYS)]


def is_bad(number):
    return number % BAD_EVERY == BAD_EVERY // 2


def comes_through(number):
    """Every second bad one crashes only once."""
    return not is_bad(number) or number // BAD_EVERY // len(WAYS) % 2 == 1


def make(folder):
    def event(number):
        identity, more = f"e{number}", {"key": f"k{number}"}
        if is_bad(number):
            more["how"] = way_of(number)
            if comes_through(number):
                more["once"] = os.path.join(folder, f"once{number}")
        return identity, probe.event("crash" if is_bad(number) else "done", identity, **more)
    return event


def look_at_bad(test, gateway):
    """What the store says of those that crashed, and of whom they were blamed on."""
    rows = gateway.rows("SELECT e.external_id, d.seq, d.state, d.attempts, d.last_error FROM delivery d JOIN event e ON e.seq = d.event")
    attempts = {}
    for seq, outcome, detail in gateway.rows("SELECT delivery, outcome, detail FROM attempt"):
        attempts.setdefault(seq, []).append((outcome, detail))
    for identity, seq, state, _, error in rows:
        number = int(identity[1:])
        crashes = [detail for outcome, detail in attempts.get(seq, ()) if outcome == "crash"]
        if not is_bad(number):
            if crashes or state != "done":
                test.find("innocent", f"{identity} crashes nothing, and is {state} after {crashes}")
            continue
        silent = way_of(number) == "exit"
        if comes_through(number):
            # None where another one was faster to end the gateway.
            if state != "done" or len(crashes) > (0 if silent else 1):
                test.find("once", f"{identity} ({way_of(number)}) crashes once, and is {state} after {crashes}")
        elif state != "dead" or len(crashes) != 2:
            test.find("undead", f"{identity} ({way_of(number)}) always crashes, and is {state} after {crashes}")
        elif ("without a word" if silent else "probe.so+0x") not in error:
            test.find("untold", f"{identity} ({way_of(number)}) died of {error!r}")


def look_at_effects(test, gateway, acked):
    stored = {row[0] for row in gateway.rows("SELECT external_id FROM event")}
    if lost := set(acked) - stored:
        test.find("lost", f"{len(lost)} of {len(acked)} acknowledged, such as {lost.pop()}")
    written = written_ids(gateway)
    for identity in stored:
        wanted = 1 if comes_through(int(identity[1:])) else 0
        if (count := written.get(identity, 0)) != wanted:
            test.find("lost" if count < wanted else "twice", f"the effect of {identity} is there {count} times")


def under_load(test):
    bad = sum(1 for number in range(test.number) if is_bad(number))
    policies = "retry: {attempts: 10, base: 300ms, factor: 1, cap: 300ms}, quarantine: {crashes: 1000, within: 1h, for: 1h}"
    with Gateway(test, plugins=probe.entry(test, policies=policies)) as gateway:
        gateway.start()
        supervisor = Supervisor(test, gateway)
        with probe.Senders(gateway, make(gateway.folder), 4, test.number) as senders:
            def all_settled():
                test.progress(len(senders.acked), f"acknowledged, {len(supervisor.ends)} ends")
                return len(senders.acked) == test.number and not gateway.unsettled()
            over = supervisor.until(all_settled, 60 + 4 * bad, MOST_ENDS * bad + 10)
            if not over:
                unsettled = f"{gateway.unsettled()} deliveries are not settled"
                test.find("undead", f"after {len(supervisor.ends)} ends by {bad} bad events {unsettled}")
        if over and (status := gateway.stop()) != 0:
            test.find("stop", f"exit status {status}\n{gateway.log_tail()}")
        if not over:
            return "it goes on for ever"
        look_at_bad(test, gateway)
        look_at_effects(test, gateway, senders.acked)
        back = sorted(supervisor.back) or [0.0]
        return (f"{len(senders.acked)} acknowledged, {len(supervisor.ends)} ends by {bad} bad ones, back in "
                f"{back[len(back) // 2] * 1000:.0f} ms (median), {back[-1] * 1000:.0f} ms (longest)")


class Held:
    """A gateway whose plugin `flawed` crashes as long as a file is there, beside one without fault."""

    def __init__(self, test, folder):
        self.test = test
        self.library, self.switch = os.path.join(folder, "flawed.so"), os.path.join(folder, "switch")
        shutil.copy(os.path.join(test.build, "tests/plugins/probe.so"), self.library)
        policies = (f"crash_attempts: 100, retry: {{attempts: 100, base: 50ms, factor: 1, cap: 50ms}}, "
                    f"quarantine: {{crashes: {QUARANTINE_CRASHES}, within: 1h, for: {QUARANTINE_S}s}}")
        plugins = probe.entry(test, "good", "/good")
        plugins += f"  - {{name: flawed, library: {self.library}, config: {{prefix: /flawed}}, {policies}}}\n"
        self.gateway = Gateway(test, plugins=plugins)
        self.sent = 0

    def command(self, *words):
        return subprocess.run([self.gateway.binary, *words, "-c", self.gateway.config], env=self.gateway.environment, check=False,
                              capture_output=True, text=True, timeout=90)

    def held(self):
        return any(c["quarantined_until"] for c in self.gateway.status()["crashes"])

    def send(self, what, prefix, **more):
        self.sent += 1
        request = {"id": f"h{self.sent}", "type": "test", "do": what, **more}
        body = str(request).replace("'", '"').replace(" ", "").encode()
        status, _ = self.gateway.request("POST", prefix, body)
        if status != 200:
            self.test.find("refused", f"an event of {prefix} was answered {status}")

    def waiting(self, plugin):
        return self.gateway.number("SELECT count(*) FROM delivery WHERE state = 'queued' AND plugin = ?", plugin)

    def crash_until_held(self, least):
        """From a gateway that works to one that holds the plugin."""
        with open(self.switch, "w", encoding="ascii"):
            pass
        supervisor = Supervisor(self.test, self.gateway)
        with contextlib.suppress(OSError):  # it may crash before the answer is out
            self.send("crash", "/flawed", how="segv", **{"while": self.switch})
        eventually(20, lambda: not self.gateway.running())
        if not supervisor.until(lambda: len(supervisor.ends) >= least and self.held(), 60, QUARANTINE_CRASHES):
            self.test.find("free", f"after {len(supervisor.ends)} crashes the plugin is still called")
        if len(supervisor.ends) < least:
            self.test.find("early", f"the plugin is held after {len(supervisor.ends)} crashes")
        os.remove(self.switch)

    def works(self, how, pid, seconds=30):
        if not eventually(seconds, lambda: not self.waiting("flawed"), 0.05):
            self.test.find("held", f"{self.waiting('flawed')} deliveries still wait: {how}\n{self.gateway.log_tail()}")
        if self.held():
            self.test.find("held", f"the plugin is still held: {how}")
        if self.gateway.process.pid != pid or not self.gateway.running():
            self.test.find("restart", f"it took a restart: {how}")


def look_at_held(test, held):
    """Its events are taken and wait, others' go on, and who waits for an answer of it is told to come again."""
    for _ in range(20):
        held.send("done", "/flawed", key="k")
        held.send("done", "/good", key="k")
    if not eventually(20, lambda: not held.waiting("good"), 0.05):
        test.find("stall", "the other plugin's events wait as well")
    if held.waiting("flawed") != 21:
        test.find("called", f"{held.waiting('flawed')} of 21 deliveries wait: the plugin is called though it is held")
    status, _ = held.gateway.request("POST", "/flawed/reply/echo", b"{}")
    if status != 503:
        test.find("reply", f"a reply route of a plugin that is held answers {status}")
    shown = held.command("plugins")
    if "plugins release flawed" not in shown.stdout:
        test.find("untold", f"`postern plugins` does not say that it is held: {shown.stdout}{shown.stderr}")


def quarantine(test):
    with tempfile.TemporaryDirectory(prefix="pst-crash-", dir="/tmp") as folder:
        held = Held(test, folder)
        with held.gateway as gateway:
            gateway.start()
            held.crash_until_held(QUARANTINE_CRASHES)
            pid = gateway.process.pid
            look_at_held(test, held)
            released = held.command("plugins", "release", "flawed")
            if released.returncode != 0:
                test.find("held", f"plugins release: {released.stdout}{released.stderr}")
            held.works("by command", pid)
            if held.command("plugins", "release", "flawed").returncode == 0:
                test.find("twice", "one that is not held was released")

            held.crash_until_held(QUARANTINE_CRASHES)  # the pardon began a new count
            pid = gateway.process.pid
            held.works("after its time", pid, QUARANTINE_S + 20)

            held.crash_until_held(1)  # those before have not been pardoned
            pid, begin = gateway.process.pid, time.monotonic()
            with open(held.library, "rb") as file:
                library = file.read()
            if library.count(BUILD) != 1:
                raise Failure(f"{held.library} does not name its build once")
            with open(held.library + ".new", "wb") as file:
                file.write(library.replace(BUILD, OTHER_BUILD))
            os.replace(held.library + ".new", held.library)
            if (reloaded := held.command("reload")).returncode != 0:
                test.find("held", f"reload: {reloaded.stdout}{reloaded.stderr}")
            held.works("with another build", pid)
            if time.monotonic() - begin > QUARANTINE_S - 2:
                raise Failure("this machine is too busy to tell another build from the end of the quarantine")
            if (status := gateway.stop()) != 0:
                test.find("stop", f"exit status {status}\n{gateway.log_tail()}")


def run(test):
    figures = under_load(test)
    if not test.is_control:
        quarantine(test)
    return figures + "; quarantine ended by command, time and another build"


if __name__ == "__main__":
    sys.exit(main(BAR, run))
