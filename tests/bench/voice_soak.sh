#!/usr/bin/env bash
# Phone calls for a long time, cut off at random on both sides: whether anything is left behind. See README.md here, and --help.
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
if ! command -v python3 >/dev/null; then
  echo "$0: python3 is not installed; packaging/install-dependencies.sh bench installs it" >&2
  exit 2
fi
exec python3 -B "$here/run/voice_soak.py" "$@"
