#!/usr/bin/env bash
# Turns what cpack has installed, which is laid out as Debian has it, into what goes into the rpms: Fedora's folders, licences, and the
# libraries that the target may lack, in a folder of their own which everything finds by an absolute RUNPATH ($ORIGIN would not do: a
# plugin need not be loaded by its path).
#
# usage: stage.sh STAGE     STAGE/COMPONENT/usr/… as cpack installed them
# Writes STAGE/bundled: "bundled(NAME) = VERSION, …" of all that is carried.
set -euo pipefail
export LC_ALL=C

stage=$1
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
private=/usr/lib64/postern
# What every target has, in a version that is new enough.
base='^(ld-linux[^ ]*|libc|libm|libdl|libpthread|librt|libresolv|libstdc\+\+|libgcc_s|libssl|libcrypto)\.so\.'
fail() { echo "stage.sh: $*" >&2; exit 1; }
command -v patchelf >/dev/null || fail "patchelf is not installed; packaging/install-dependencies.sh test installs it"

# --- folders and texts
main=$stage/postern
rm -rf "$main/usr/share/lintian" "$stage"/*/usr/share/doc/*/{copyright,changelog.gz,changelog.Debian.gz}
install -Dm 644 "$here/../../CHANGELOG.md" "$main/usr/share/doc/postern/CHANGELOG.md"
mkdir "$main/usr/share/zsh/site-functions"
mv "$main/usr/share/zsh/vendor-completions/_postern" "$main/usr/share/zsh/site-functions/"
rmdir "$main/usr/share/zsh/vendor-completions"
mv "$stage/dev/usr/share/doc/postern-dev" "$stage/dev/usr/share/doc/postern-devel"
for docs in "$stage"/*/usr/share/doc/*/; do
  install -Dm 644 "$here/../../LICENSE" "${docs%/doc/*}/licenses/$(basename "$docs")/LICENSE"
done
mkdir -p "$main/etc/postern/secrets" "$main/var/lib/postern"  # %ghost: listed, not packed

# --- the libraries
ours=("$main/usr/bin/postern" "$stage"/plugin-*/usr/lib/postern/plugins/*.so)
linked=$(ldd "${ours[@]}")
! grep 'not found' <<<"$linked" || fail "a library is missing here"
closure=$(awk '$2 == "=>" && $3 ~ /^\// { print $1, $3 }' <<<"$linked" | grep -vE "$base" | sort -u)
listed=$(awk '/^lib/ { print $1 }' "$here/carried.txt" | sort)
difference=$(diff <(echo "$listed") <(cut -d' ' -f1 <<<"$closure")) || fail "carried.txt (<) is not what is linked (>):"$'\n'"$difference"

licences=$main/usr/share/licenses/postern
manifest=$licences/carried.txt
# Fedora's names of what Debian calls otherwise.
declare -A known_as=([boost1.74]=boost [cyrus-sasl2]=cyrus-sasl [fmtlib]=fmt [gnutls28]=gnutls [libtasn1-6]=libtasn1 [libzstd]=zstd
  [pcre3]=pcre [rtmpdump]=librtmp [sqlite3]=sqlite)
declare -A bundled
echo "Libraries in $private: whose copyright is in the folder of the source package's name. Their sources are Debian's." >"$manifest"
mkdir -p "$main$private"
while read -r name path; do
  path=$(realpath "$path")
  install -m 755 "$path" "$main$private/$name"
  package=$({ dpkg-query -S "$path" || dpkg-query -S "${path#/usr}"; } 2>/dev/null | head -n 1 | cut -d: -f1)
  [ -n "$package" ] || fail "$path is of no Debian package, so nothing tells its licence"
  read -r source version < <(dpkg-query -W -f '${source:Package} ${source:Version}\n' "$package" | head -n 1)
  printf '%-30s %s (source package %s %s)\n' "$name" "$package" "$source" "$version" >>"$manifest"
  text=$licences/$source/copyright
  cmp -s "/usr/share/doc/$package/copyright" "$text" || { [ ! -e "$text" ] || text+=.$package; }
  install -Dm 644 "/usr/share/doc/$package/copyright" "$text"
  version=${version#*:}
  bundled[${known_as[$source]:-$source}]=$(sed -E 's/[+.](dfsg|ds)[0-9]*$//' <<<"${version%-*}")
done <<<"$closure"
for name in "${!bundled[@]}"; do echo "bundled($name) = ${bundled[$name]}"; done | sort | paste -sd, | sed 's/,/, /g' | tr -d '\n' >"$stage/bundled"

# The texts that Debian's copyright files refer to; GPL is another name of GPL-3, as there.
mkdir "$licences/common-licenses"
grep -rhoE '/usr/share/common-licenses/[A-Za-z0-9.+-]*[A-Za-z0-9]' "$licences" | sort -u | while read -r text; do
  install -m 644 "$(realpath "$text")" "$licences/common-licenses/$(basename "$(realpath "$text")")"
  [ ! -L "$text" ] || ln -s "$(basename "$(realpath "$text")")" "$licences/common-licenses/$(basename "$text")"
done
ln -sf ../LICENSE "$licences/common-licenses/Apache-2.0"

patchelf --set-rpath "$private" "${ours[@]}" "$main$private"/*
