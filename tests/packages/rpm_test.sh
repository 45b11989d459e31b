#!/usr/bin/env bash
# Makes the rpms of a build, in two versions, installs them into a tree that has what Fedora 38 has and no more (rpm_tree.sh), and uses
# them:
#
#   what they require → rpmlint → install → configure → start → a signed webhook → upgrade while events wait → erase
#
# usage: rpm_test.sh [BUILD]     default: build/release
# Needs root (a chroot); a minute. What is made is removed at the end. Exit status: 0 passed, 1 not, 77 skipped: what it needs is not there.
set -euo pipefail
export LC_ALL=C

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd)
build=$(realpath "${1:-$root/build/release}")
step() { printf '\n== %s\n' "$*"; }
fail() { printf 'FAILED: %s\n' "$*" >&2; exit 1; }
skip() { printf 'SKIPPED: %s\n' "$*" >&2; exit 77; }

for tool in rpm rpmbuild rpmlint patchelf; do
  command -v $tool >/dev/null || skip "$tool is not installed; packaging/install-dependencies.sh test installs it"
done
[ "$(id -u)" = 0 ] || skip "needs root, for a chroot"
[ -x "$build/postern" ] || fail "there is no postern in $build"
# What is mounted here is mounted for nobody else, and goes when this ends.
[ -n "${POSTERN_OWN_MOUNTS:-}" ] || POSTERN_OWN_MOUNTS=1 exec unshare --mount --propagation private "$0" "$build"
source "$root/tests/packages/rpm_tree.sh"

work=$(mktemp -d /var/tmp/postern-rpm.XXXXXX)
tree=$work/tree
gateway=
cleanup() {
  [ -z "$gateway" ] || kill -KILL "$gateway" 2>/dev/null || true
  for at in dev proc; do ! mountpoint -q "$tree/$at" || umount -l "$tree/$at"; done
  rm -rf --one-file-system "$work"
}
trap cleanup EXIT
key=$(openssl rand -hex 24)
port=$(/usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
inside() { env -i PATH=/usr/sbin:/usr/bin KEY="$key" chroot "$tree" "$@"; }
in_tree() { rpm --force-debian --root "$tree" --dbpath /var/lib/rpm "$@"; }
files() { (cd "$tree" && find etc usr var opt -path var/lib/rpm -prune -o -print | sort); }
asked() { cat "$tree/systemctl.log" 2>/dev/null || true; rm -f "$tree/systemctl.log"; }  # of systemctl since the last time
same() { [ "$2" = "$3" ] || fail "$1:"$'\n'"$(diff <(echo "$2") <(echo "$3"))"; }

make_rpms() {  # FOLDER OPTION…: of cpack
  cpack --config "$build/CPackConfig.cmake" -G RPM -B "$work/$1" "${@:2}" >"$work/cpack.log" 2>&1 || { cat "$work/cpack.log" >&2; fail "cpack"; }
  rm -r "$work/$1/_CPack_Packages"
}

step "the packages, and those of an older version with another configuration"
cat >"$work/older.cmake" <<END
include($root/packaging/rpm/generator.cmake)
list(APPEND CPACK_PRE_BUILD_SCRIPTS $work/older_configuration.cmake)
END
echo 'file(APPEND ${CPACK_TEMPORARY_INSTALL_DIRECTORY}/postern/etc/postern/gateway.yaml "# as it was before\n")' >"$work/older_configuration.cmake"
make_rpms old -D CPACK_PACKAGE_VERSION=0.0.1 -D CPACK_PROJECT_CONFIG_FILE="$work/older.cmake"
make_rpms new
old=("$work"/old/*.rpm)
new=("$work"/new/*.rpm)
names=$(rpm -qp --qf '%{NAME}\n' "${new[@]}" | sort | paste -sd' ')
same "packages" "postern postern-devel postern-plugin-openai-realtime postern-plugin-openphone postern-plugin-smtp postern-plugin-twilio" "$names"

step "they require glibc, libstdc++, OpenSSL 3 and what installs them; nobody can count on what they carry"
allowed='/bin/sh|/usr/bin/systemd-(sysusers|tmpfiles)|/usr/bin/pkg-config|ca-certificates|rtld\(GNU_HASH\)|rpmlib\(.*|config\(postern\) = .*'
allowed+='|postern\(x86-64\) = .*|(ld-linux-x86-64|libc|libm|libresolv|libgcc_s|libstdc\+\+|libssl|libcrypto)\.so\.[0-9]+\(.*'
! rpm -qp --requires "${new[@]}" | sort -u | grep -vxE "$allowed" || fail "these are required too"
! rpm -qp --provides "${new[@]}" | grep -F '.so' || fail "these are provided"
rpm -qp --provides "${new[@]}" | grep '^bundled(curl) = ' >/dev/null || fail "nothing tells which libcurl is carried"

step "rpmlint"
rpmlint -c "$root/packaging/rpm/rpmlint.toml" "${new[@]}" >"$work/rpmlint.log" 2>&1 || { cat "$work/rpmlint.log"; fail "rpmlint"; }
grep -q ' 0 errors, 0 warnings' "$work/rpmlint.log" || { cat "$work/rpmlint.log"; fail "rpmlint warns"; }
tail -n 1 "$work/rpmlint.log"

step "a tree with what Fedora 38 has"
make_tree "$tree"
! in_tree -U --test "${new[@]}" >"$work/missing.log" 2>&1 || fail "the packages ask for nothing, so that the next steps say nothing"
base_spec >"$work/base.spec"
rpmbuild -bb --define "_topdir $work/base" "$work/base.spec" >"$work/base.log" 2>&1 || { cat "$work/base.log" >&2; fail "rpmbuild"; }
in_tree -U "$work"/base/RPMS/noarch/*.rpm
before=$(files)

step "install and erase at once leaves nothing"
said=$(in_tree -U "${new[@]}" 2>&1)
same "rpm says" "" "$(grep -v '^Creating ' <<<"$said" || true)"
same "asked of systemctl" "--no-reload preset postern.service postern.socket" "$(asked)"
in_tree -e $names
same "left" "$before" "$(files)"
asked >/dev/null

step "install the older version: every library is found, those that are carried nowhere else"
in_tree -U "${old[@]}"
inside /usr/bin/postern --version
grep -q '^postern:' "$tree/etc/passwd" || fail "there is no user postern"
same "/etc/postern/secrets" "750 root $(awk -F: '$1 == "postern" { print $3 }' "$tree/etc/group")" "$(stat -c '%a %U %g' "$tree/etc/postern/secrets")"
for file in /usr/bin/postern "$tree"/usr/lib/postern/plugins/*.so "$tree"/usr/lib64/postern/*; do
  inside /lib64/ld-linux-x86-64.so.2 --list "${file#"$tree"}" >"$work/linked.log" 2>&1 || { cat "$work/linked.log"; fail "${file#"$tree"} cannot be loaded"; }
  ! grep 'not found' "$work/linked.log" || fail "${file#"$tree"} misses a library"
done
for library in "$tree"/usr/lib64/postern/*; do
  [ ! -e "$tree/usr/lib64/${library##*/}" ] || fail "${library##*/} is in the base system of this test"
  [ "$(readelf -d "$library" | grep -c 'RUNPATH.*\[/usr/lib64/postern\]')" = 1 ] || fail "${library##*/} has not its RUNPATH"
done
in_tree -V --nomtime $names || fail "what is installed is not what was packaged"

step "the packaged configuration says what to do first"
said=$(inside /usr/bin/postern check 2>&1) && fail "the placeholder is taken: $said"
grep -q 'gateway.yaml:[0-9]*:[0-9]*: .*public_url' <<<"$said" || fail "$said"

step "configure: public_url, both plugins, a secret in a file"
yaml=$tree/etc/postern/gateway.yaml
sed -i -e 's#https://hooks.your-domain.com#https://hooks.postern-test.org#' -e "s#^  listen: .*#  listen: [127.0.0.1:$port]#" "$yaml"
sed -i 's#^plugins:$#plugins:\n  - {name: openphone, library: openphone.so, config: {signing_keys: ["${env:KEY}"]}}\n  - {name: twilio, library: twilio.so, config: {auth_tokens: ["${file:/etc/postern/secrets/twilio}"]}}#' "$yaml"
echo "$key" >"$tree/etc/postern/secrets/twilio"
chmod 644 "$tree/etc/postern/secrets/twilio"
inside /usr/bin/postern check

user=$(awk -F: '$1 == "postern" { print $3 ":" $4 }' "$tree/etc/passwd")
start() {  # as the unit does: its user, its folders
  install -d -o "${user%:*}" -g "${user#*:}" -m 700 "$tree/var/lib/postern" "$tree/run/postern"
  env -i PATH=/usr/sbin:/usr/bin KEY="$key" chroot --userspec="$user" "$tree" /usr/bin/postern serve 2>"$work/serve.log" &
  gateway=$!
  for _ in $(seq 200); do ! curl -fs -o /dev/null "http://127.0.0.1:$port/health" || return 0; sleep 0.05; done
  cat "$work/serve.log"
  fail "the gateway does not answer"
}
stop() { kill "$gateway"; wait "$gateway" || fail "the gateway ended with $?"; gateway=; }
events() { inside /usr/bin/postern --json events list | grep -c '"event_id"'; }

step "start, and a signed webhook"
start
inside /usr/bin/postern send openphone message.received --count 3
inside /usr/bin/postern events list
[ "$(events)" = 3 ] || fail "not 3 events"
stop

step "upgrade: the configuration that was changed stays, the new one lies beside it; events stay; one restart, at the end"
asked >/dev/null
mkdir -p "$tree/run/systemd/system"  # systemd is at work
sum=$(md5sum <"$yaml")
in_tree -U "${new[@]}"
[ "$sum" = "$(md5sum <"$yaml")" ] || fail "the upgrade changed the configuration"
cmp -s "$yaml.rpmnew" "$root/config/gateway.yaml" || fail "the new configuration is not in gateway.yaml.rpmnew"
same "asked of systemctl" "daemon-reload daemon-reload try-restart postern.service" "$(asked | paste -sd' ')"
start
[ "$(events)" = 3 ] || fail "events are gone"
inside /usr/bin/postern send openphone message.received
stop

step "a plugin built with postern-devel alone has what it needs"
for file in include/postern/abi.h lib/cmake/postern-sdk/postern-sdk-config.cmake lib/libpostern_sdk_testing.a share/pkgconfig/postern-sdk.pc; do
  [ -f "$tree/usr/$file" ] || fail "there is no /usr/$file"
done

step "erase: changed configuration, secrets and events stay, and nothing else"
in_tree -e $names >"$work/erase.log" 2>&1 || { cat "$work/erase.log"; fail "rpm -e"; }
cat "$work/erase.log"
same "asked of systemctl" \
  "--no-reload disable postern.socket postern.service stop postern.socket postern.service daemon-reload" "$(asked | paste -sd' ')"
left=$(comm -13 <(echo "$before") <(files) | grep -v '^var/lib/postern/events.db')
same "left" "$(printf '%s\n' etc/postern{,/gateway.yaml.{rpmnew,rpmsave},/secrets{,/twilio}} var/lib/postern)" "$left"
[ -f "$tree/var/lib/postern/events.db" ] || fail "the events are gone"

printf '\nok: %s\n' "$(cd "$work/new" && stat -c '%n %s' -- *.rpm | awk '{ printf "%s%s %.1f MB", sep, $1, $2 / 1e6; sep = ", " }')"
