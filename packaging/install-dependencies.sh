#!/usr/bin/env bash
# Installs what is missing of packaging/dependencies.txt, and nothing else. Usage: install-dependencies.sh [run|build|test|packages|bench]
#   run       what a built gateway needs
#   build     and what compiles it (the default)
#   test      and what its tests need
#   packages  and what makes and tries packages
#   bench     and what tests/bench/peers.sh compares Postern with
# Works as root, else through sudo. Exit status: 0 all is there, 1 not, 2 wrong usage.
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
list=$here/dependencies.txt
upto=${1:-build}

case $upto in
  run | build | test | packages | bench) ;;
  *)
    echo "usage: $0 [run|build|test|packages|bench]" >&2
    exit 2
    ;;
esac

# The packages of the sections up to and including the one asked for.
wanted=$(awk -v upto="$upto" '
  { sub(/#.*/, "") }
  /^\[/ { if (done) exit; done = ($1 == "[" upto "]"); next }
  NF { print $1 }' "$list")

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  echo "$0: this is not a Debian system (no dpkg and apt-get). What to install instead is listed in $list." >&2
  exit 1
fi

missing=()
for package in $wanted; do
  if [[ $package == *\?* ]]; then
    ! command -v "${package#*\?}" >/dev/null || continue
    package=${package%\?*}
  fi
  state=$(dpkg-query --show --showformat='${db:Status-Status}\n' "$package" 2>/dev/null | head -n 1 || true)
  [[ $state == installed ]] || missing+=("$package")
done

if [[ ${#missing[@]} -eq 0 ]]; then
  echo "Dependencies ($upto): all $(wc -w <<<"$wanted") packages are installed."
  exit 0
fi
echo "Dependencies ($upto): installing ${#missing[@]} of $(wc -w <<<"$wanted") packages, which may take minutes: ${missing[*]}"

as_root=()
if [[ $(id -u) -ne 0 ]]; then
  if ! command -v sudo >/dev/null; then
    echo "$0: installing needs root, and there is no sudo. As root, run:" >&2
    echo "  apt-get update && apt-get install --no-install-recommends ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
# `env`, since sudo drops the environment. What apt says is shown only if it fails.
apt() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o Dpkg::Use-Pty=0 "$@" >>"$log" 2>&1; }

if ! apt update || ! apt install --yes --no-install-recommends "${missing[@]}"; then
  cat "$log" >&2
  echo "$0: apt-get failed; its words are above. Postern's packages are in Debian 12 (bookworm), section main." >&2
  exit 1
fi
echo "Dependencies ($upto): done."
