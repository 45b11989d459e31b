#!/usr/bin/env bash
# Measures how fast mails leave: Postern with smtp.so and a real mail server. See README.md here, and --help.
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
if ! command -v python3 >/dev/null; then
  echo "$0: python3 is not installed; packaging/install-dependencies.sh test installs it" >&2
  exit 2
fi
exec python3 -B "$here/run/mail.py" "$@"
