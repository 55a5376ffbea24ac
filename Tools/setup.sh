#!/bin/sh
# Installs what is missing beside git, make and Swift; does nothing, at once, where nothing is.
#
# Needed:  what the Swift toolchain links with and loads (C and C++ headers, gold, a few libraries).
# Wanted:  gnuplot 5.4 or later, for the report's pictures; OpenBLAS, the dense product that sparse ones are compared with.
# Exit status 1 when Swift is missing, too old or cannot work; 0 otherwise, whatever is missing of the wanted.
set -eu
here=$(dirname "$0")
# shellcheck source=Tools/toolchain.sh
. "$here/toolchain.sh"

log=$(mktemp)
trap 'rm -f "$log"' EXIT

# Prints what the toolchain lacks, a line each.
toolchain_lacks() {
  for program in swift-frontend swift-driver swift-package clang; do
    if [ -x "$toolchain/$program" ]; then ldd "$toolchain/$program" 2>&1 | sed -n 's/^[[:space:]]*\(.*\) => not found$/\1/p'; fi
  done | sort -u
  if [ -x "$toolchain/clang" ]; then
    "$toolchain/clang" -print-file-name=crtbeginS.o 2>&1 | grep -q / || echo "gcc's start files"
    printf '#include <stdlib.h>\n' | "$toolchain/clang" -E -x c - >/dev/null 2>&1 || echo 'C headers'
    printf '#include <cstdlib>\n' | "$toolchain/clang++" -E -x c++ - >/dev/null 2>&1 || echo 'C++ headers'
  fi
  # Links Swift programs unless the toolchain brings a linker of its own choice.
  command -v ld.gold >/dev/null || [ -x "$toolchain/ld.gold" ] || echo 'the linker ld.gold'
}

have_gnuplot() {
  command -v gnuplot >/dev/null || return 1
  gnuplot --version 2>/dev/null | awk '{ split($2, v, "."); exit !(v[1] > 5 || v[1] == 5 && v[2] >= 4) }'
}

# On Debian the flavour matters: the serial one would be an unfairly slow baseline, the OpenMP one spins between products.
have_blas() {
  for file in /usr/lib/*/openblas-pthread/libopenblas*.so*; do
    if [ -e "$file" ]; then return 0; fi
  done
  if command -v apt-get >/dev/null; then return 1; fi
  PATH=$PATH:/sbin:/usr/sbin ldconfig -p 2>/dev/null | grep -Eq 'lib(openblasp?|blis|mkl_rt)\.so'
}

# Runs a command as root, or fails.
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# Says why nothing can be installed here; empty when something can.
obstacle() {
  if ! command -v apt-get >/dev/null; then
    echo 'there is no apt-get here'
  elif [ "$(id -u)" = 0 ]; then
    :
  elif ! command -v sudo >/dev/null; then
    echo 'this is not root and there is no sudo'
  elif ! sudo -n true 2>/dev/null && ! { [ -t 0 ] && [ -t 2 ]; }; then
    echo 'sudo would ask for a password and there is no terminal'
  fi
}

apt() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=120 -o Acquire::Retries=1 \
    -o Acquire::http::Timeout=20 -o Acquire::https::Timeout=20 "$@" >"$log" 2>&1 </dev/null
}

# Installs the packages; on failure says in apt's own words why.
install_packages() {
  why=$(obstacle)
  if [ -n "$why" ]; then
    say "cannot install $*: $why"
    return 1
  fi
  if [ "$(id -u)" != 0 ]; then sudo -v || { say "cannot install $*: sudo was refused" && return 1; }; fi
  say "installing $*"
  apt update || say "apt-get update did not succeed: $(grep -m 1 -E '^[EW]:' "$log" || echo 'no reason given')"
  apt install --no-install-recommends "$@" && return 0
  say "apt-get could not install $*: $(grep -m 1 '^E:' "$log" || echo 'no reason given')"
  return 1
}

find_toolchain

lacking=$(toolchain_lacks)
if [ -n "$lacking" ]; then
  packages='binutils-gold g++ libc6-dev libcurl4-openssl-dev libncurses-dev libsqlite3-dev libxml2-dev zlib1g-dev'
  # Without it git cannot fetch the package's dependency.
  [ -e /etc/ssl/certs/ca-certificates.crt ] || packages="$packages ca-certificates"
  say "Swift lacks $(printf '%s' "$lacking" | paste -sd , | sed 's/,/, /g'), which $packages bring"
  # shellcheck disable=SC2086 # a list of words
  install_packages $packages || true
  find_toolchain
  [ -z "$(toolchain_lacks)" ] ||
    refuse "Swift cannot build without them; install the packages that https://www.swift.org/install/linux lists for this system and run make again"
fi

version=$(printf '%s\n' "$target_info" | sed -n 's/.*Swift version \([0-9][0-9]*\.[0-9][0-9]*\).*/\1/p')
[ -n "$version" ] ||
  refuse "$swift does not start ($(printf '%s' "$target_info" | head -n 1)); install Swift $needed_swift or later from https://www.swift.org/install/linux"
[ "$(printf '%s\n%s\n' "$needed_swift" "$version" | sort -V | head -n 1)" = "$needed_swift" ] ||
  refuse "$swift is Swift $version, and Filigree needs $needed_swift or later; install it from https://www.swift.org/install/linux"

wanted=
if ! have_gnuplot; then
  say 'gnuplot 5.4 or later, which draws the pictures of a report, is not here; it is in gnuplot-nox'
  wanted=gnuplot-nox
fi
if ! have_blas; then
  say 'OpenBLAS, the dense product that sparse ones are compared with, is not here; it is in libopenblas0-pthread'
  wanted="$wanted libopenblas0-pthread"
fi
if [ -n "$wanted" ]; then
  # shellcheck disable=SC2086 # a list of words
  install_packages $wanted || true
  have_gnuplot ||
    say 'going on without gnuplot 5.4: reports will have their tables and data and no pictures; to have them later, install gnuplot-nox and run filigree report'
  have_blas ||
    say "going on without OpenBLAS: filigree's own dense product will be the baseline, and reports will say so; to have it, install libopenblas0-pthread"
fi
