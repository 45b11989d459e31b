#!/usr/bin/env python3
"""Holds core/ to its order: a room includes only itself and earlier rooms, and no file of the core names a provider.

The order is POSTERN_ROOMS in core/CMakeLists.txt; the providers are the folders of plugins/ and the names below.
Usage: rooms_test.py [ROOT]. Exit status: 0 all is well, 1 something is not (told with file and line).
"""

import re
import sys
import tempfile
from pathlib import Path

# Providers that have no plugin yet, and other names for those that have one.
PROVIDERS = {"openphone", "quo", "twilio", "openai", "apollo", "smtp"}
INCLUDE = re.compile(r'^\s*#\s*include\s+(?:"([^"]+)"|<((?:core|plugins|tests|postern)/[^>]+)>)')
SOURCES = {".h", ".hpp", ".c", ".cpp"}


def rooms_in_order(root):
    text = (root / "core/CMakeLists.txt").read_text(encoding="utf-8")
    found = re.search(r"set\(POSTERN_ROOMS\s+([^)]+)\)", text)
    if not found:
        raise SystemExit("core/CMakeLists.txt has no set(POSTERN_ROOMS …): this test takes the order of the rooms from it")
    return found.group(1).split()


def provider_pattern(root):
    plugins = root / "plugins"
    names = PROVIDERS | {folder.name for folder in plugins.iterdir() if folder.is_dir()} if plugins.is_dir() else PROVIDERS
    # Whole words, where "_" and digits separate them: "acme_route" names one, "acmeist" does not.
    return re.compile(r"(?<![a-z])(" + "|".join(sorted(map(re.escape, names))) + r")(?![a-z])", re.IGNORECASE)


def fault_of_include(room, rooms, path):
    """Why a file of `room` must not include `path`; None when it may."""
    if path.startswith("postern/"):
        return None  # the SDK
    parts = path.split("/")
    if parts[0] != "core":
        return f'includes "{path}": the core includes core/ROOM/… (from the root) and postern/… of the SDK, nothing else of ours'
    if len(parts) < 3 or parts[1] not in rooms:
        return f'includes "{path}", which is in no room; the rooms are: {" ".join(rooms)}'
    if rooms.index(parts[1]) > rooms.index(room):
        return (f'room "{room}" includes "{path}", but "{parts[1]}" comes after "{room}" ({" ".join(rooms)}): let "{room}" '
                f'declare an interface that "{parts[1]}" implements, or move what both need into an earlier room')
    return None


def faults_of_line(room, rooms, provider, line):
    include = INCLUDE.match(line)
    if room and include:
        fault = fault_of_include(room, rooms, include.group(1) or include.group(2))
        if fault:
            yield fault
    # Once more with kAcmeRoute read as k_Acme_Route.
    named = provider.search(line) or provider.search(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", line))
    if named:
        yield f'names the provider "{named.group(1)}": what only one provider needs belongs into its plugin'


def check(root):
    """All faults under root/core as "file:line: text", and how many files were read."""
    rooms, provider, faults, count = rooms_in_order(root), provider_pattern(root), [], 0
    for file in sorted((root / "core").rglob("*")):
        if not file.is_file():
            continue
        count += 1
        place, room = file.relative_to(root), None
        if file.suffix in SOURCES:
            room = place.parts[1]
            if room not in rooms:
                faults.append(f'{place}:1: is in no room; add "{room}" to POSTERN_ROOMS in core/CMakeLists.txt at its place')
                room = None
        if provider.search(str(place)):
            faults.append(f"{place}:1: names a provider")
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            faults += [f"{place}:{number}: {fault}" for fault in faults_of_line(room, rooms, provider, line)]
    return faults, count


def self_test():
    """A made-up tree with one fault of each kind: a checker that finds nothing proves nothing."""
    tree = {
        "core/CMakeLists.txt": "set(POSTERN_ROOMS base net\n  ingest)\n",
        "core/base/fine.h": '#include <string>\n#include "core/base/other.h"\n#include "postern/abi.h"\n// a quote\n',
        "core/net/fine.cpp": '#include "core/net/fine.h"\n#include "core/base/fine.h"\n',
        "core/net/late.cpp": '// first\n#  include "core/ingest/event.h"\n',
        "core/net/angle.cpp": "#include <core/ingest/event.h>\n",
        "core/net/relative.cpp": '#include "fine.h"\n',
        "core/net/nowhere.cpp": '#include "core/attic/event.h"\n',
        "core/net/plugin.cpp": '#include "plugins/acme/acme.h"\n',
        "core/attic/lost.cpp": "int lost;\n",
        "core/base/name.h": "int kTwilioPort;\n",
        "core/base/product.h": "// as AcMe does\n",
        "core/base/README.md": "Works like acme.\n",
        "plugins/acme/acme.h": "",
    }
    expected = ["core/attic/lost.cpp:1", "core/base/README.md:1", "core/base/name.h:1",
                "core/base/product.h:1", "core/net/angle.cpp:1", "core/net/late.cpp:2",
                "core/net/nowhere.cpp:1", "core/net/plugin.cpp:1", "core/net/plugin.cpp:1", "core/net/relative.cpp:1"]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name, text in tree.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text, encoding="utf-8")
        faults, _ = check(root)
    places = sorted(":".join(fault.split(":")[:2]) for fault in faults)
    if places != sorted(expected):
        raise SystemExit("rooms_test.py does not find what it should in its own made-up tree.\n"
                         f"expected {sorted(expected)}\nfound    {places}\n" + "\n".join(faults))


def main():
    self_test()
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[2]
    faults, count = check(root)
    for fault in faults:
        print(fault)
    if count < 50:
        raise SystemExit(f"only {count} files under {root / 'core'}: is that the root of the sources?")
    if faults:
        raise SystemExit(f"{len(faults)} faults in {count} files of the core")
    print(f"{count} files of the core include in order and name no provider")


if __name__ == "__main__":
    main()
