"""What a peer in Node needs: installed once, exactly as its package-lock.json names it."""

import filecmp
import json
import os
import shutil
import subprocess

from servers import Failure


def install(source, folder, *sources):
    """`folder` gets the modules, with the sources beside them."""
    os.makedirs(folder, exist_ok=True)
    lock, done = os.path.join(source, "package-lock.json"), os.path.join(folder, "installed-lock.json")
    for name in ("package.json", "package-lock.json", ".npmrc", *sources):
        shutil.copy(os.path.join(source, name), folder)
    if os.path.exists(done) and filecmp.cmp(lock, done, shallow=False):
        return
    npm = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder, check=False, process_group=0,
                         capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=600)
    if npm.returncode != 0:
        raise Failure(f"npm ci could not install what {lock} names:\n{npm.stderr.strip()}")
    shutil.copy(lock, done)


def versions(folder, *names):
    found = {}
    for name in names:
        with open(os.path.join(folder, "node_modules", name, "package.json"), encoding="utf-8") as file:
            found[name] = json.load(file)["version"]
    return found
