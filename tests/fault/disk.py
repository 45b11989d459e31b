"""A disk that can lose its power: what is certainly on it, what may be on it, and images of it after a crash.

What a file system such as ext4 promises, and no more:
 - what was written before an fsync of the file that succeeded is there;
 - of what was written since, any sector of 512 bytes is there or not, in any order, whatever another file has;
 - a file's name is there, or gone, for certain only after an fsync of its folder; the changes of a folder happen in their order;
 - after an fsync of a file that failed, what it should have written is gone for good, though a later one succeeds. (Names are in the
   file system's journal: where that fails, no later fsync of the folder succeeds.)
A sector is never torn itself, and writing a part of it leaves the rest as it was.
"""

from system_calls import Create, Remove, SyncBegin, SyncEnd, Truncate, Write

SECTOR = 512


def put(content, at, data):
    if len(content) < at:
        content.extend(bytes(at - len(content)))
    content[at:at + len(data)] = data


def apply(content, change):
    if isinstance(change, Write):
        put(content, change.at, change.data)
    elif change.size < len(content):
        del content[change.size:]
    else:
        content.extend(bytes(change.size - len(content)))


class _File:
    def __init__(self, content=b""):
        self.durable = bytearray(content)
        self.pending = []
        self.syncing = []  # how many of the pending ones each sync under way will have written

    def sync_end(self, ok):
        count = self.syncing.pop(0)
        if ok:
            for change in self.pending[:count]:
                apply(self.durable, change)
        del self.pending[:count]
        self.syncing = [max(0, other - count) for other in self.syncing]


class Disk:
    """Files by name, as operations of a trace leave them. `contents`: what is there already, durable."""

    def __init__(self, contents=None):
        self.files = {name: _File(content) for name, content in (contents or {}).items()}  # as programs see them
        self._durable_names = dict(self.files)
        self._pending_names = []  # (name, file or None when removed)
        self._syncing_names = []

    def apply(self, operation):
        match operation:
            case Create(name):
                self.files[name] = _File()
                self._pending_names.append((name, self.files[name]))
            case Remove(name):
                self.files.pop(name, None)
                self._pending_names.append((name, None))
            case Write(name) | Truncate(name) if name in self.files:
                self.files[name].pending.append(operation)
            case SyncBegin(""):
                self._syncing_names.append(len(self._pending_names))
            case SyncEnd("", ok):
                self._folder_synced(ok)
            case SyncBegin(name) if name in self.files:
                self.files[name].syncing.append(len(self.files[name].pending))
            case SyncEnd(name, ok) if name in self.files and self.files[name].syncing:
                self.files[name].sync_end(ok)

    def _folder_synced(self, ok):
        count = self._syncing_names.pop(0)
        if ok:
            _rename(self._durable_names, self._pending_names[:count])
            del self._pending_names[:count]

    def certain(self):
        """What is there whatever happens."""
        return {name: bytes(file.durable) for name, file in self._durable_names.items()}

    def image(self, random):
        """What may be there after a power cut now: {name: content}."""
        names = dict(self._durable_names)
        _rename(names, self._pending_names[:random.randint(0, len(self._pending_names))])
        return {name: _torn(file, random) for name, file in names.items()}


def _rename(names, changes):
    for name, file in changes:
        if file is None:
            names.pop(name, None)
        else:
            names[name] = file


def _torn(file, random):
    """One of the contents that the file may have."""
    content = bytearray(file.durable)
    how = random.choice(("dropped", "kept", "first", "last", "torn", "torn", "torn"))
    if how == "dropped" or not file.pending:
        return bytes(content)
    cut = random.randint(0, len(file.pending))
    share = random.choice((0.1, 0.5, 0.9, 0.98))
    for place, change in enumerate(file.pending):
        if (how == "first" and place >= cut) or (how == "last" and place < cut):
            continue
        if how == "torn":
            for piece in _sectors(change):
                if random.random() < share:
                    apply(content, piece)
        else:
            apply(content, change)
    return bytes(content)


def _sectors(change):
    if isinstance(change, Truncate):
        yield change
        return
    at, end = change.at, change.at + len(change.data)
    while at < end:
        until = min(end, (at // SECTOR + 1) * SECTOR)
        yield Write(change.name, at, change.data[at - change.at:until - change.at])
        at = until
