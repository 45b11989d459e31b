#!/usr/bin/env bash
# Measures phone calls at once: Postern between Twilio's media streams and OpenAI's Realtime API, and the bridge that one would write in Node
# instead. See README.md here, and --help.
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
if ! command -v python3 >/dev/null; then
  echo "$0: python3 is not installed; packaging/install-dependencies.sh bench installs it" >&2
  exit 2
fi
exec python3 -B "$here/run/voice.py" "$@"
