# For rpm_test.sh: a tree that has what every Fedora 38 and Enterprise Linux 10 has for a service, and nothing else. A library that the
# packages should carry and do not is not found there.

# Shared libraries of the base system, copied from here: Debian 12's are older than theirs.
base_libraries=(ld-linux-x86-64.so.2 libc.so.6 libm.so.6 libdl.so.2 libpthread.so.0 librt.so.1 libresolv.so.2 libstdc++.so.6 libgcc_s.so.1
  libssl.so.3 libcrypto.so.3)

# make_tree TREE
make_tree() {
  mkdir -p "$1"/usr/{bin,sbin,include,lib,lib64} "$1"/{dev,etc,proc,root,run,tmp,opt/systemd,var/lib/rpm,var/tmp} \
    "$1"/usr/lib/{cmake,systemd/system,sysusers.d,tmpfiles.d} \
    "$1"/usr/share/{bash-completion/completions,doc,fish/vendor_completions.d,licenses,man/man{1,5},pkgconfig,zsh/site-functions}
  for folder in bin sbin lib lib64; do ln -s "usr/$folder" "$1/$folder"; done
  for library in "${base_libraries[@]}"; do
    cp -L "$(ldconfig -p | awk -v name="$library" '$1 == name && /x86-64/ { print $NF; exit }')" "$1/usr/lib64/$library"
  done
  echo /usr/lib64 >"$1/etc/ld.so.conf"
  ldconfig -r "$1"
  cp /bin/dash "$1/usr/bin/sh"
  echo root:x:0:0:root:/root:/bin/sh >"$1/etc/passwd"
  echo root:x:0: >"$1/etc/group"
  # systemd's own programs, whose libraries nobody else shall find.
  for program in systemd-sysusers systemd-tmpfiles; do
    cp "$(command -v $program)" "$1/opt/systemd/"
    ldd "$(command -v $program)" | awk '$2 == "=>" { print $3 }' | xargs -I{} cp -L {} "$1/opt/systemd/"
    printf '#!/bin/sh\nLD_LIBRARY_PATH=/opt/systemd exec /opt/systemd/%s "$@"\n' $program >"$1/usr/bin/$program"
  done
  # There is no systemd to talk to: what it is asked for is written down.
  printf '#!/bin/sh\necho "$*" >>/systemctl.log\n' >"$1/usr/bin/systemctl"
  chmod 755 "$1"/usr/bin/*
  mount --rbind /dev "$1/dev"
  mount -t proc proc "$1/proc"
  for user in somebody else; do chroot "$1" /usr/bin/systemd-sysusers --inline "u $user -"; done  # so that all files of users are there
}

versions() {  # LIBRARY PREFIX VERSION…: as rpm writes what a library provides
  echo "Provides: $1()(64bit)"
  printf "Provides: $1($2_%s)(64bit)\n" "${@:3}"
}

# base_spec: a package that provides what the base packages of Fedora 38 do, in Fedora 38's versions.
base_spec() {
  printf '%s\n' 'Name: base-of-fedora' 'Version: 38' 'Release: 1' 'Summary: What Fedora 38 has' 'License: Apache-2.0' 'BuildArch: noarch'
  printf 'Provides: %s\n' /bin/sh /usr/bin/systemd-sysusers /usr/bin/systemd-tmpfiles /usr/bin/pkg-config ca-certificates 'rtld(GNU_HASH)'
  versions libc.so.6 GLIBC 2.2.5 2.2.6 2.3 2.3.2 2.3.3 2.3.4 $(seq -f '2.%.0f' 4 37)
  versions libm.so.6 GLIBC 2.2.5 $(seq -f '2.%.0f' 15 35)
  versions ld-linux-x86-64.so.2 GLIBC 2.2.5 2.3 2.4 2.34 2.35
  versions libresolv.so.2 GLIBC 2.2.5 2.3.2 2.9
  versions libgcc_s.so.1 GCC 3.0 3.3 3.3.1 3.4 3.4.2 3.4.4 4.0.0 4.2.0 4.3.0 4.7.0 4.8.0 7.0.0 12.0.0 13.0.0
  versions libstdc++.so.6 GLIBCXX 3.4 $(seq -f '3.4.%.0f' 1 31)
  versions libstdc++.so.6 CXXABI 1.3 $(seq -f '1.3.%.0f' 1 14)
  versions libssl.so.3 OPENSSL 3.0.0
  versions libcrypto.so.3 OPENSSL 3.0.0 3.0.1 3.0.3 3.0.8
  printf '%s\n' '%description' 'What Fedora 38 has.' '%files'
}
