#!/usr/bin/env python3
"""Nothing that is shipped is broken on purpose: `postern` and its plugins have no trace of core/base/broken.h, and all builds that are
broken have one, or this test would not see it. Exit status: 0 so it is, 1 not.
"""

import argparse
import glob
import os
import sys

MARK = b"broken-on-purpose"


def has_mark(path):
    with open(path, "rb") as file:
        return MARK in file.read()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build/release", help="where `postern` was built; default: %(default)s")
    build = parser.parse_args().build
    shipped = [os.path.join(build, "postern"), *glob.glob(os.path.join(build, "plugins/*.so"))]
    broken = glob.glob(os.path.join(build, "tests/fault/postern_broken_*"))
    faults = [f"{path} is broken on purpose: it was compiled with POSTERN_BREAK" for path in shipped if has_mark(path)]
    faults += [f"{path} has no mark: core/base/broken.h does not reach it" for path in broken if not has_mark(path)]
    if not broken:
        faults.append(f"there is no postern_broken_* in {build}/tests/fault: build them first")
    print("\n".join(faults) or f"unbroken: ok: {len(shipped)} files are whole, {len(broken)} are broken on purpose and say so")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
