#!/usr/bin/python3
"""Tests the stand-ins themselves, each against a client or a server that is not ours: Debian's python3-websockets as it is.

/usr/bin/python3, not the one on PATH: Debian's packages are there for Debian's python alone. Usage: selftest.py [-v] [NAME…]
Without a name, each *_test.py runs in a process of its own beside the others, since they mostly wait for time to pass.
"""

import logging
import subprocess
import sys
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "voice")]


def run(names, verbosity):
    for name in ("websockets", "asyncio"):  # the first tells of each connection that broke, as many are meant to; the second of slow steps
        logging.getLogger(name).setLevel(logging.CRITICAL)
    tests = unittest.defaultTestLoader.loadTestsFromNames(names)
    outcome = unittest.TextTestRunner(verbosity=verbosity).run(tests)
    return outcome.wasSuccessful() and outcome.testsRun > 0


def run_all(options):
    modules = sorted(path.stem for path in HERE.glob("*_test.py"))
    running = [subprocess.Popen([sys.executable, __file__, *options, name], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
               for name in modules]
    for name, process in zip(modules, running):
        print(f"== {name}\n{process.communicate()[0]}")
    return bool(modules) and all(process.returncode == 0 for process in running)


if __name__ == "__main__":
    chosen = [name for name in sys.argv[1:] if not name.startswith("-")]
    flags = [name for name in sys.argv[1:] if name.startswith("-")]
    sys.exit(0 if (run(chosen, 2 if "-v" in flags else 1) if chosen else run_all(flags)) else 1)
