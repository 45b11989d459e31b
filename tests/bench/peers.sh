#!/usr/bin/env bash
# Compares Postern with what one would build instead: Express + BullMQ, FastAPI + Celery, webhook; nginx is the ceiling. One command, one
# run. See README.md here, and --help.
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
# Debian's, which knows the packages of the peers, whatever another python3 is first in $PATH.
if [[ ! -x /usr/bin/python3 ]]; then
  echo "$0: /usr/bin/python3 is not installed; packaging/install-dependencies.sh bench installs it" >&2
  exit 2
fi
exec /usr/bin/python3 -B "$here/run/peers.py" "$@"
