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
policy=/usr/sbin/policy-rc.d # what Debian asks before it starts a service
own_policy=
clean_up() {
  rm -f "$log"
  [[ -z $own_policy ]] || "${as_root[@]}" rm -f "$policy"
}
trap clean_up EXIT

# The tests start what they need themselves: no service shall run because its package came. A policy that is there stays as it is.
keep_services_off() {
  if [[ ! -e $policy ]]; then
    own_policy=yes
    "${as_root[@]}" sh -c "printf '#!/bin/sh\nexit 101\n' >$policy && chmod 755 $policy"
  fi
  # Without a configuration of its own in /etc, Postfix's service has nothing to start with, ever.
  if [[ " ${missing[*]} " == *" postfix "* ]]; then
    echo "postfix postfix/main_mailer_type select No configuration" | "${as_root[@]}" debconf-set-selections
  fi
}
# `env`, since sudo drops the environment. What apt says is shown only if it fails.
apt() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o Dpkg::Use-Pty=0 "$@" >>"$log" 2>&1; }

keep_services_off
if ! apt update || ! apt install --yes --no-install-recommends --no-remove "${missing[@]}"; then
  cat "$log" >&2
  echo "$0: apt-get failed; its words are above. Postern's packages are in Debian 12 (bookworm), section main." >&2
  exit 1
fi
echo "Dependencies ($upto): done."
