"""What the machine is, and what processes take of it, from /proc."""

import os
import platform
import statistics
import time

_TICKS = os.sysconf("SC_CLK_TCK")


def cpus():
    return len(os.sched_getaffinity(0))


def _stat(pid):
    """The fields of /proc/PID/stat from the third on; None when there is no such process any more."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def tree(pid):
    """The process and all that descend from it."""
    children = {}
    for name in os.listdir("/proc"):
        stat = _stat(name) if name.isdigit() else None
        if stat:
            children.setdefault(int(stat[1]), []).append(int(name))
    found = [pid]
    for parent in found:
        found += children.get(parent, [])
    return found


def cpu_seconds(pids):
    """User and system time of all threads so far, and of the children that have come and gone."""
    stats = [stat for stat in map(_stat, pids) if stat]
    return sum(int(ticks) for stat in stats for ticks in stat[11:15]) / _TICKS


def rss_mib(pids):
    """Resident memory; pages that processes share count for each."""
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/status", encoding="utf-8") as file:
                total += sum(int(line.split()[1]) for line in file if line.startswith("VmRSS:"))
        except (FileNotFoundError, ProcessLookupError):
            pass
    return total / 1024


def file_system(path):
    """(type, source) of the mount that holds `path`."""
    path = os.path.realpath(path)
    best = ("", "unknown", "unknown")
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        for line in file:
            left, _, right = line.partition(" - ")
            point = left.split()[4].encode().decode("unicode_escape")
            inside = path == point or path.startswith(point.rstrip("/") + "/")
            if inside and len(point) >= len(best[0]):  # of mounts over each other the last one counts
                best = (point, *right.split()[:2])
    return best[1:]


def sync_ms(folder, sync, size, times):
    """Each time in ms that `size` bytes appended and synced take: what each commit waits for at the least."""
    name = os.path.join(folder, "sync")
    taken = []
    fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        for _ in range(times):
            begin = time.monotonic()
            os.write(fd, b"x" * size)
            sync(fd)
            taken.append((time.monotonic() - begin) * 1000)
    finally:
        os.close(fd)
        os.unlink(name)
    return taken


def fsync_ms(folder):
    return statistics.median(sync_ms(folder, os.fsync, 4096, 32))


def _cpu_model():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    return names[0] if names else platform.machine()


def describe(folder):
    kind, source = file_system(folder)
    return {"cpus": cpus(), "cpu": _cpu_model(), "kernel": platform.release(), "file_system": kind, "disk": source,
            "fsync_ms": round(fsync_ms(folder), 3), "load_average": round(os.getloadavg()[0], 2)}
