#!/usr/bin/env python3
"""The disk is filled to its last byte and freed again, under load, on a file system of its own (tmpfs; --ext4: a loop device with ext4).

Bars: 503 while it is full; the service is back within 5 s after there is space; no event that was acknowledged is lost, none is stored
twice; the gateway stays. In some cycles it is killed while the disk is full, and has to start then, or to say why not. It needs root, for
the mount. Control: early_ack, which tells the senders before the commit.
"""

import os
import subprocess
import sys
import tempfile
import time

from bars import Bar, Skip, main
from gateway import Failure, Gateway, Load, eventually, ids_of
from probe import entry, event

BAR = Bar("disk full", "fill and free cycles", 100, "early_ack", frozenset({"lost"}), __doc__)
MIB = 1024 * 1024
SIZE_MIB = 256
BACK_WITHIN = 5.0
REFUSED_WITHIN = 30.0  # until nothing fits into what the store has reserved
LOAD_PER_S = 300
KILLED_WHILE_FULL = 0.2


class FileSystem:
    """A small one of its own, while the block lasts."""

    def __init__(self, kind):
        self.kind, self.folder = kind, None
        self._image = self._filler = None

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="pst-fs-")
        if self.kind == "ext4":
            self._image = tempfile.mkstemp(prefix="pst-fs-", suffix=".img")[1]
            os.truncate(self._image, SIZE_MIB * MIB)
            self._run("mkfs.ext4", "-q", "-m", "0", self._image)
            self._run("mount", "-o", "loop", self._image, self.folder)
        else:
            self._run("mount", "-t", "tmpfs", "-o", f"size={SIZE_MIB}m", "postern-test", self.folder)
        self._filler = os.path.join(self.folder, "filler")
        return self

    def __exit__(self, *_):
        subprocess.run(["umount", self.folder], check=False, capture_output=True)
        os.rmdir(self.folder)
        if self._image:
            os.unlink(self._image)

    def _run(self, *command):
        try:
            done = subprocess.run(command, check=False, capture_output=True, text=True)
        except OSError as error:
            done = error
        if isinstance(done, OSError) or done.returncode != 0:
            why = str(done) if isinstance(done, OSError) else done.stderr.strip()
            if self.folder and not os.path.ismount(self.folder):
                os.rmdir(self.folder)
            raise Skip(f"no file system of its own here ({' '.join(command[:4])}: {why}); it needs root")

    def fill(self):
        with open(self._filler, "ab", buffering=0) as file:
            for piece in (MIB, 65536, 4096, 1):
                try:
                    while file.write(bytes(piece)) == piece:
                        pass
                except OSError:
                    continue

    def free(self):
        os.unlink(self._filler)


class Watch:
    """Asks the gateway to store one event after the other, and keeps what it says last."""

    def __init__(self, gateway):
        self._gateway, self.acked, self._count = gateway, [], 0

    def try_one(self):
        """The status of one new event's answer; 0 when there is none."""
        self._count += 1
        identity = f"w{self._count}"
        body = event("done", identity).partition(b"\r\n\r\n")[2]
        try:
            status = self._gateway.request("POST", "/probe", body)[0]
        except OSError:
            return 0
        if 200 <= status < 300:
            self.acked.append(identity)
        return status


def starts_while_full(test, gateway, number):
    """After a kill. It starts, or says why not; it does not hang, and harms nothing."""
    gateway.kill()
    try:
        gateway.start()
        return True
    except Failure:
        if gateway.running():
            test.find("stall", f"cycle {number}: a start on a full disk neither serves nor ends\n{gateway.log_tail()}")
            gateway.kill()
        elif gateway.process.returncode <= 0 or '"level":"error"' not in gateway.log_tail():
            test.find("crash", f"cycle {number}: a start on a full disk ends with {gateway.process.returncode}\n{gateway.log_tail()}")
        return False


def cycle(test, disk, gateway, watch, number):
    """Fills and frees once; how long the service was away after there was space."""
    disk.fill()

    def refused():
        disk.fill()  # what a checkpoint gave back
        return watch.try_one() == 503

    if not eventually(3 if test.is_control else REFUSED_WITHIN, refused, 0.02):
        test.find("no 503", f"cycle {number}: events are taken for {REFUSED_WITHIN:.0f} s on a full disk, or nobody answers")
    time.sleep(test.random.uniform(0, 0.3))
    down = test.random.random() < KILLED_WHILE_FULL and not starts_while_full(test, gateway, number)
    disk.free()
    begin = time.monotonic()
    if down:
        gateway.start()
    back = eventually(2 * BACK_WITHIN, lambda: 200 <= watch.try_one() < 300)
    took = time.monotonic() - begin
    if not gateway.running():
        raise Failure(f"cycle {number}: the gateway has ended with {gateway.process.returncode}:\n{gateway.log_tail()}")
    if not back or took > BACK_WITHIN:
        test.find("away", f"cycle {number}: {'back only' if back else 'not back'} after {took:.1f} s")
    return took


def compare(test, gateway, *journals):
    stored = dict(gateway.rows("SELECT external_id, count(*) FROM event GROUP BY external_id"))
    acked = [identity for journal in journals for identity in journal]
    if lost := [identity for identity in acked if identity not in stored]:
        test.find("lost", f"{len(lost)} of {len(acked)} acknowledged, such as {lost[0]}")
    if twice := [identity for identity, count in stored.items() if count > 1]:
        test.find("twice", f"{len(twice)} are stored more than once, such as {twice[0]}")
    if (said := gateway.rows("PRAGMA integrity_check")) != [("ok",)]:
        test.find("corrupt", str(said[:3]))
    return len(acked)


def run(test):
    kind = "ext4" if test.variant == "ext4" else "tmpfs"
    slowest = 0.0
    with FileSystem(kind) as disk, Gateway(test, plugins=entry(test), store_folder=disk.folder) as gateway:
        gateway.start()
        watch = Watch(gateway)
        with Load(test, gateway, "--connections", 8, "--duration", 86400, "--rate", LOAD_PER_S, "--retry", "--conversations", 50,
                  "--give-up", 60) as load:
            for number in test.cycles():
                slowest = max(slowest, cycle(test, disk, gateway, watch, number))
                test.progress(number, f"back after at most {slowest:.2f} s")
                if test.is_control:
                    compare(test, gateway, ids_of(load.journal), list(watch.acked))
                time.sleep(test.random.uniform(0, 0.3))
            report = load.end()
        eventually(60, lambda: gateway.unsettled() == 0, 0.05)
        if left := gateway.unsettled():
            test.find("stall", f"{left} deliveries are not settled")
        if (status := gateway.stop()) != 0:
            test.find("stop", f"exit status {status}\n{gateway.log_tail()}")
        acked = compare(test, gateway, load.acked(), watch.acked)
    refused = sum(count for status, count in report["statuses"].items() if status == "503")
    return (f"{test.number} cycles on {kind}, {acked} acknowledged, {refused} refused with 503, back after at most {slowest:.2f} s")


if __name__ == "__main__":
    sys.exit(main(BAR, run, variants={"ext4": "on a loop device with ext4 instead of tmpfs"}))
