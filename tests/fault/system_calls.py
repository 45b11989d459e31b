"""strace's record of a gateway: what it wrote to the store's folder, what it synced, and which events it acknowledged, in one order.

That order is trustworthy where it matters: strace sees the end of an fsync before the thread that waited for it goes on, so an
acknowledgement that depends on it stands behind it in the file.
"""

import os
import re
import subprocess
from dataclasses import dataclass

CALLS = "openat,pwrite64,write,ftruncate,fallocate,fsync,fdatasync,unlink,unlinkat,rename,renameat,renameat2,sendto"
_MOST_BYTES = 4 * 1024 * 1024  # of one call, more than any write has

# An event's acknowledgement: what the gateway answers for a new event, and for one that it has already.
_ACK = re.compile(rb'"status":"(?:queued|duplicate_ignored|processed)"[^}]*?"event_id":"(evt_[0-9A-Za-z]+)"|'
                  rb'"event_id":"(evt_[0-9A-Za-z]+)"[^}]*?"status":"(?:queued|duplicate_ignored|processed)"')
_LINE = re.compile(r"(\d+)\s+(?:<\.\.\. (\w+) resumed>(.*)|(\w+)\((.*))$", re.DOTALL)
_FD = re.compile(r"(\d+)<((?:\\x[0-9a-f]{2})*)>")
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')


class TraceFault(Exception):
    """The trace has something that this reader does not know."""


@dataclass(frozen=True)
class Write:
    name: str
    at: int
    data: bytes


@dataclass(frozen=True)
class Truncate:
    name: str
    size: int


@dataclass(frozen=True)
class SyncBegin:
    name: str  # "": the folder


@dataclass(frozen=True)
class SyncEnd:
    name: str
    ok: bool
    injected: bool


@dataclass(frozen=True)
class Create:
    name: str


@dataclass(frozen=True)
class Remove:
    name: str


@dataclass(frozen=True)
class Ack:
    event_id: str


def why_not():
    """Why nothing can be traced here; None when it can."""
    try:
        tried = subprocess.run(["strace", "-f", "-o", os.devnull, "true"], check=False, capture_output=True, text=True)
    except FileNotFoundError:
        return "strace is not installed; packaging/install-dependencies.sh test installs it"
    return None if tried.returncode == 0 else f"strace cannot trace here: {tried.stderr.strip()}"


def strace(file, *options):
    return ("strace", "-f", "-y", "-xx", "-s", str(_MOST_BYTES), "-e", f"trace={CALLS}", "-e", "signal=none", "-o", file, *options)


def _bytes(text):
    return bytes.fromhex(text.replace("\\x", ""))


class Reader:
    """Turns the lines into operations on the files of `folder` whose names begin with `prefix`."""

    def __init__(self, folder, prefix):
        self.folder = os.path.realpath(folder)
        self.prefix = prefix
        self.there = {name for name in os.listdir(folder)} if os.path.isdir(folder) else set()
        self._open = {}  # thread: a call that has not returned

    def read(self, file):
        with open(file, encoding="ascii", errors="strict") as lines:
            for line in lines:
                yield from self._line(line.rstrip("\n"))

    def _name(self, path):
        folder, name = os.path.split(path)
        if folder != self.folder or not name.startswith(self.prefix) or name.endswith((".lock", "-shm", ".running", ".died")):
            return None  # the lock holds nothing, SQLite makes the shm anew from the log, and nobody believes the record of who is inside plugins
        return name

    def _of_fd(self, args):
        """(the store's file, the rest of the arguments); "" for the folder, None for what is not the store's."""
        found = _FD.match(args)
        if not found:
            return None, args
        path = os.fsdecode(_bytes(found.group(2)))
        rest = args[found.end():].lstrip(", ")
        return ("" if path == self.folder else self._name(path)), rest

    def _line(self, line):
        parts = _LINE.match(line)
        if not parts:
            return  # a signal, an exit
        thread, resumed, tail, call, args = parts.groups()
        if resumed:
            call, args = self._open.pop(thread, (resumed, ""))
            yield from self._end(call, args, tail)
        elif args.endswith("<unfinished ...>"):
            args = args[:-len("<unfinished ...>")].rstrip()
            self._open[thread] = (call, args)
            yield from self._begin(call, args)
        else:
            yield from self._begin(call, args)
            yield from self._end(call, args, args)

    # A write counts from its begin, an acknowledgement too; a sync from its end.
    def _begin(self, call, args):
        if call == "sendto":
            text = _TEXT.search(args)
            for ack in _ACK.finditer(_bytes(text.group(1)) if text else b""):
                yield Ack((ack.group(1) or ack.group(2)).decode())
            return
        if call in ("unlink", "unlinkat"):
            text = _TEXT.search(args)
            name = self._name(os.fsdecode(_bytes(text.group(1)))) if text else None
            if name in self.there:
                self.there.discard(name)
                yield Remove(name)
            return
        if call.startswith("rename"):
            if any(self._name(os.fsdecode(_bytes(text))) for text in _TEXT.findall(args)):
                raise TraceFault("the store renames files, which this reader does not know")
            return
        if call not in ("pwrite64", "write", "ftruncate", "fallocate", "fsync", "fdatasync"):
            return
        name, rest = self._of_fd(args)
        if name is None:
            return
        if call in ("fsync", "fdatasync"):
            yield SyncBegin(name)
        elif call == "pwrite64":
            text = _TEXT.match(rest)
            data = _bytes(text.group(1))
            size, at = (int(number) for number in re.match(r", (\d+), (\d+)", rest[text.end():]).groups())
            if len(data) != size:
                raise TraceFault(f"a write of {size} bytes was recorded with {len(data)}")
            yield Write(name, at, data)
        elif call == "ftruncate":
            yield Truncate(name, int(re.match(r"\d+", rest).group()))
        else:
            raise TraceFault(f"the store uses {call}, which this reader does not know")

    def _end(self, call, args, tail):
        result = tail.rpartition(" = ")[2]
        if call in ("fsync", "fdatasync"):
            name, _ = self._of_fd(args)
            if name is not None:
                yield SyncEnd(name, result.startswith("0"), "INJECTED" in result)
        elif call == "openat" and "O_CREAT" in args and not result.startswith("-1"):
            text = _TEXT.search(args[args.index(","):])
            name = self._name(os.fsdecode(_bytes(text.group(1))))
            if name and name not in self.there:
                self.there.add(name)
                yield Create(name)
