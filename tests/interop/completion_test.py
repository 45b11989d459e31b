"""The completions of `postern completion` in the shells themselves, from Debian's packages bash, fish and zsh.

usage: completion_test.py POSTERN
"""

import os
import shutil
import subprocess
import sys
import tempfile
import unittest

POSTERN = sys.argv.pop(1)
SHELLS = {"bash": "bash", "fish": "fish", "zsh": "zsh"}

# (what is typed, some of what is offered, some of what is not)
CASES = (
    ("postern ", {"serve", "events", "dead", "completion"}, {"list", "--json"}),
    ("postern ev", {"events"}, {"serve"}),
    ("postern events ", {"list", "show", "replay", "prune"}, {"serve", "drop"}),
    ("postern -c x events ", {"list", "prune"}, {"serve"}),
    ("postern events -c x ", {"list", "prune"}, {"serve"}),
    ("postern dead replay --", {"--dry-run", "--since", "--json", "--config"}, {"replay", "--id"}),
)

BASH = """
source "$1"; read -r -a COMP_WORDS <<<"$2"
[[ $2 == *' ' ]] && COMP_WORDS+=('')
COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 ))
_postern
printf '%s\\n' "${COMPREPLY[@]}"
"""
# _describe is how zsh would show them; here it only says what it was given.
ZSH = """
compdef() { : }
_describe() { print -rl -- "${(@P)2}" }
_files() { print -r -- "(files)" }
source "$1"; words=(${(z)2})
[[ $2 == *' ' ]] && words+=('')
CURRENT=$#words
_postern
"""


def offered(shell, script, line):
    if shell == "fish":
        command = ["fish", "--no-config", "-c", f"source {script}; complete -C '{line}'"]
    else:
        options = ["--norc", "--noprofile"] if shell == "bash" else ["-f"]
        command = [shell, *options, "-c", BASH if shell == "bash" else ZSH, shell, script, line]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=30)
    if done.stderr:
        raise AssertionError(f"{shell} says: {done.stderr}")
    separator = {"bash": "\n", "fish": "\t", "zsh": ":"}[shell]
    found = {entry.split(separator)[0] for entry in done.stdout.splitlines()}
    typed = line.split(" ")[-1]
    return {word for word in found if word.startswith(typed)}  # zsh and fish look at the beginning themselves


class Completion(unittest.TestCase):
    def test_each_shell(self):
        for shell in SHELLS:
            if not shutil.which(shell):
                self.fail(f"there is no {shell}; packaging/install-dependencies.sh test installs it")
            with tempfile.TemporaryDirectory() as folder:
                script = os.path.join(folder, "completion")
                with open(script, "w", encoding="utf-8") as file:
                    subprocess.run([POSTERN, "completion", shell], check=True, stdout=file)
                for line, some, none in CASES:
                    with self.subTest(shell=shell, line=line):
                        found = offered(shell, script, line)
                        self.assertLessEqual(some, found)
                        self.assertFalse(none & found)

    def test_no_such_shell(self):
        done = subprocess.run([POSTERN, "completion", "csh"], capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stdout), (2, ""))


if __name__ == "__main__":
    unittest.main()
