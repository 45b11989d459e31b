#!/usr/bin/env bash
# Installs the Debian packages of a build into a clean Debian 12 of its own, as a user would, and uses them:
#
#   install → configure → start → a signed webhook → upgrade while events wait → remove → purge
#
# usage: deb_test.sh [BUILD]     default: build/release, with the packages of `cpack --preset deb`
# Needs root (a chroot) and mmdebstrap with a mirror; a few minutes. What is made is removed at the end.
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd)
build=${1:-$root/build/release}
step() { printf '\n== %s\n' "$*"; }
fail() { printf 'FAILED: %s\n' "$*" >&2; exit 1; }

[ "$(id -u)" = 0 ] || fail "needs root, for a chroot"
command -v mmdebstrap >/dev/null || fail "mmdebstrap is not installed; packaging/install-dependencies.sh packages installs it"
shopt -s nullglob
packages=("$build"/postern_*.deb "$build"/postern-plugin-*.deb "$build"/postern-dev_*.deb)
[ ${#packages[@]} -ge 4 ] || fail "there are no packages in $build; make them with: cpack --preset deb"

tree=$(mktemp -d /var/tmp/postern-deb.XXXXXX)
gateway=
cleanup() {
  [ -z "$gateway" ] || kill -KILL "$gateway" 2>/dev/null || true
  for at in proc dev; do mountpoint -q "$tree/$at" && umount -l "$tree/$at"; done
  rm -rf --one-file-system "$tree"
}
trap cleanup EXIT
inside() { chroot "$tree" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root DEBIAN_FRONTEND=noninteractive KEY="$key" "$@"; }
key=$(openssl rand -hex 24)

apt() { inside apt-get -y --no-install-recommends "$@" >"$tree/packages.log" 2>&1 || { cat "$tree/packages.log" >&2; fail "apt-get $*"; }; }
ours=(postern postern-plugin-openai-realtime postern-plugin-openphone postern-plugin-smtp postern-plugin-twilio postern-dev)

step "a clean Debian 12"
mmdebstrap --quiet --variant=apt --include=systemd bookworm "$tree"
mount --bind /dev "$tree/dev"
mount -t proc proc "$tree/proc"
mkdir "$tree/packages"
files() { (cd "$tree" && find etc usr lib var/lib/postern -xdev \( -path var/lib/dpkg -o -path '*/__pycache__' \) -prune -o -print 2>/dev/null || true) | sort; }

install() {  # VERSION: the packages as they are, but with this version where one is given
  rm -rf "$tree/packages"/*
  for package in "${packages[@]}"; do
    cp "$package" "$tree/packages/"
    [ -n "$1" ] || continue
    name=$(basename "$package")
    dpkg-deb -R "$package" "$tree/packages/unpacked"
    version=$(dpkg-deb -f "$package" Version)
    sed -i "s/${version//./\\.}/$1/" "$tree/packages/unpacked/DEBIAN/control"
    rm "$tree/packages/$name"
    dpkg-deb -b "$tree/packages/unpacked" "$tree/packages/old-$name" >/dev/null
    rm -r "$tree/packages/unpacked"
  done
  apt install $(cd "$tree/packages" && for file in *.deb; do echo "/packages/$file"; done)
}

step "what the packages need is there before, so that only they are compared"
apt update
apt install ca-certificates
install 0.0.1
apt purge "${ours[@]}"
before=$(files)

step "install an older version"
install 0.0.1
inside postern --version
inside id postern >/dev/null || fail "there is no user postern"
[ "$(stat -c %a:%U "$tree/etc/postern/secrets" 2>/dev/null)" = 750:root ] || fail "/etc/postern/secrets is not there or not private"

step "the packaged configuration says what to do first"
said=$(inside postern check 2>&1) && fail "the placeholder is taken: $said"
grep -q 'gateway.yaml:[0-9]*:[0-9]*: .*public_url' <<<"$said" || fail "$said"

step "configure: public_url and one plugin"
sed -i -e 's#https://hooks.your-domain.com#https://hooks.postern-test.org#' -e 's#^  listen: .*#  listen: [127.0.0.1:18480]#' "$tree/etc/postern/gateway.yaml"
sed -i 's#^plugins:$#plugins:\n  - {name: openphone, library: openphone.so, config: {signing_keys: ["${env:KEY}"]}}#' "$tree/etc/postern/gateway.yaml"
inside postern check

start() {  # as the unit does: its user, its folders
  inside install -d -o postern -g postern -m 700 /var/lib/postern /run/postern
  chroot --userspec=postern:postern "$tree" env -i PATH=/usr/bin KEY="$key" postern serve -c /etc/postern/gateway.yaml 2>"$tree/packages/serve.log" &
  gateway=$!
  for _ in $(seq 200); do curl -fs -o /dev/null http://127.0.0.1:18480/health && return; sleep 0.05; done
  cat "$tree/packages/serve.log"; fail "the gateway does not answer"
}
stop() { kill "$gateway"; wait "$gateway" || fail "the gateway ended with $?"; gateway=; }

step "start, and a signed webhook"
start
inside postern send openphone message.received --count 3
inside postern events list
[ "$(inside postern --json events list | grep -c '"event_id"')" = 3 ] || fail "not 3 events"
stop

step "upgrade: configuration and events stay"
sum=$(md5sum <"$tree/etc/postern/gateway.yaml")
install ""
[ "$sum" = "$(md5sum <"$tree/etc/postern/gateway.yaml")" ] || fail "the upgrade changed the configuration"
start
[ "$(inside postern --json events list | grep -c '"event_id"')" = 3 ] || fail "events are gone"
inside postern send openphone message.received
stop

step "a plugin built with postern-dev alone"
inside sh -c 'test -f /usr/include/postern/abi.h && test -f /usr/lib/cmake/postern-sdk/postern-sdk-config.cmake'

step "enabled at boot, as an administrator would"
inside systemctl enable postern.service 2>/dev/null
[ -L "$tree/etc/systemd/system/multi-user.target.wants/postern.service" ] || fail "it could not be enabled"

step "remove: configuration and events stay; purge: nothing does"
apt remove "${ours[@]}"
[ -f "$tree/var/lib/postern/events.db" ] && [ -f "$tree/etc/postern/gateway.yaml" ] || fail "the removal took events or configuration away"
[ ! -e "$tree/usr/bin/postern" ] || fail "the command is still there"
apt purge postern  # the others had no more than their files
left=$(comm -13 <(echo "$before") <(files))
[ -z "$left" ] || fail "the purge left: $left"

printf '\nok: %s\n' "$(du -ch "${packages[@]}" | tail -1 | cut -f1) in ${#packages[@]} packages"
