#!/usr/bin/python3
"""Tests the stand-ins themselves, each against a client or a server that is not ours: Debian's python3-websockets as it is.

/usr/bin/python3, not the one on PATH: Debian's packages are there for Debian's python alone. Usage: selftest.py [-v] [NAME…]
"""

import logging
import sys
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "voice")]

if __name__ == "__main__":
    for name in ("websockets", "asyncio"):  # the first tells of each connection that broke, as many are meant to; the second of slow steps
        logging.getLogger(name).setLevel(logging.CRITICAL)
    modules = sorted(path.stem for path in HERE.glob("*_test.py"))
    chosen = [name for name in sys.argv[1:] if not name.startswith("-")]
    tests = unittest.defaultTestLoader.loadTestsFromNames(chosen or modules)
    outcome = unittest.TextTestRunner(verbosity=2 if "-v" in sys.argv else 1).run(tests)
    sys.exit(0 if outcome.wasSuccessful() and outcome.testsRun else 1)
