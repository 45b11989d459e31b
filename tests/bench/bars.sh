#!/usr/bin/env bash
# Measures the bars of speed that neither run.sh nor peers.sh has: TLS, large bodies, a store that grows. See README.md here, and
# --help.
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
if ! command -v python3 >/dev/null; then
  echo "$0: python3 is not installed; packaging/install-dependencies.sh test installs it" >&2
  exit 2
fi
exec python3 -B "$here/run/bars.py" "$@"
