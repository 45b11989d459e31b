#!/usr/bin/env bash
# Compares Postern with nginx's `return 200` and with itself at a full store: one command, one run. See README.md here, and
# --help. The work is in run/, in Python; its processes end with it, however it ends.
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
if ! command -v python3 >/dev/null; then
  echo "$0: python3 is not installed; packaging/install-dependencies.sh test installs it" >&2
  exit 2
fi
exec python3 -B "$here/run" "$@"
