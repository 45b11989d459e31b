"""What every run does besides measuring: a folder on a real disk, warnings, an end in order."""

import json
import os
import shutil
import signal
import sys
import tempfile

import machine
import report
from servers import Failure

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
RELEASE = os.path.join(ROOT, "build", "release")
GIB = 2**30


def missing(build, *names, load="postern_load"):
    """What cannot be done without, as one sentence; None when all is there."""
    for name in ("postern", load, *names):
        if not os.path.exists(os.path.join(build, name)):
            return f"{build}/{name} is missing; build it: cmake --preset release && cmake --build --preset release"
    return None


def make_folder(wanted):
    """A new one with `wanted` bytes of free space, in $TMPDIR or build/bench."""
    base = os.environ.get("TMPDIR")
    if not base:
        base = os.path.join(ROOT, "build", "bench")
        os.makedirs(base, exist_ok=True)
    if machine.file_system(base)[0] in ("tmpfs", "ramfs"):
        raise Failure(f"{base} is in memory, where fsync is free; set TMPDIR to a folder on a disk")
    if shutil.disk_usage(base).free < wanted:
        raise Failure(f"{base} needs {wanted / GIB:.0f} GiB of free space; set TMPDIR to a folder on another disk")
    return tempfile.mkdtemp(prefix="postern-bench-", dir=base)


def warn_of(facts, build):
    if facts["load_average"] > 0.3 * facts["cpus"]:
        report.warn(f"the machine is not idle (load average {facts['load_average']}): the figures will say little")
    if facts["fsync_ms"] < 0.02:
        report.warn("an fsync takes no time here: this disk promises what it does not do")
    with open(os.path.join(build, "CMakeCache.txt"), encoding="utf-8") as file:
        if "CMAKE_BUILD_TYPE:STRING=Release\n" not in file.read():
            report.warn(f"{build} is not a release build")


def stop_on(signals):
    def stop(number, _):
        for each in signals:
            signal.signal(each, signal.SIG_IGN)  # what follows is the cleaning up, once
        sys.exit(128 + number)

    for each in signals:
        signal.signal(each, stop)


def write_json(path, figures):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(figures, file, indent=2)
        file.write("\n")


def run(program, options, lacking, disk_bytes, work):
    """Exit status of `work(folder, facts)`: 2 when it cannot begin, 1 when it fails. The folder goes with it."""
    stop_on((signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
    folder = None
    try:
        if lacking:
            raise Failure(lacking)
        folder = make_folder(disk_bytes)
        facts = machine.describe(folder)
        if options.json:
            with open(options.json, "a", encoding="utf-8"):
                pass  # now rather than in ten minutes
    except (Failure, OSError) as failure:
        shutil.rmtree(folder or "", ignore_errors=True)
        print(f"{program}: {failure}", file=sys.stderr)
        return 2
    try:
        report.print_machine(facts)
        warn_of(facts, options.build)
        sys.stdout.flush()
        return work(folder, facts)
    except Failure as failure:
        print(f"\n{program}: {failure}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
