#!/bin/sh
# Times the C kernels alone, one thread, on operands as the device gives them: see docs/Performance.md.
#
#   Benchmarks/bench-kernels.sh [REVISION...]
#
# With up to six revisions of git, their kernels take turns with this tree's, which take part twice: what the two differ by is
# what nothing can be told from. ISA=avx512, neon or scalar for another instruction set. OUT=FOLDER, from the root of the
# repository, for README.md there instead of a table here.
set -eu
cd "$(dirname "$0")/.."
# shellcheck source=Tools/toolchain.sh
. Tools/toolchain.sh
find_toolchain
isa=${ISA:-avx2}
[ -f "Sources/CKernels/$isa.c" ] || refuse "there are no kernels for '$isa': choose avx2, avx512, neon or scalar"
case $isa in
  avx2) needed='avx2 fma' ;;
  avx512) needed='avx512f avx512vl avx512dq avx512bw' ;;
  neon) needed=asimd ;;
  *) needed='' ;;
esac
for flag in $needed; do
  grep -qw "$flag" /proc/cpuinfo || refuse "this processor lacks $isa; ISA= names another instruction set"
done
[ $# -le 6 ] || refuse "$# revisions are too many: give six at most"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# NAME FOLDER: the cases with the kernels of one tree.
library() {
  "$toolchain/clang" -O2 -std=c11 -Wall -Wextra -fPIC -shared "-DKERNELS=fg_kernels_$isa" "-I$2/include" \
    -o "$work/$1" Benchmarks/kernels/cases.c "$2/$isa.c" -lm ||
    refuse "the cases do not compile with the kernels of $1: it may be a revision with another interface"
}

library this Sources/CKernels
cp "$work/this" "$work/this-again"
# The revisions become their libraries, each once.
for revision; do
  shift
  name=$(git rev-parse --short "$revision^{commit}" 2>/dev/null) || refuse "git knows no revision '$revision'"
  [ ! -e "$work/$name" ] || continue
  mkdir "$work/tree-$name"
  git archive "$name" Sources/CKernels | tar -x -C "$work/tree-$name"
  library "$name" "$work/tree-$name/Sources/CKernels"
  set -- "$@" "$work/$name"
done
"$toolchain/clang" -O2 -std=gnu11 -Wall -Wextra -o "$work/turns" Benchmarks/kernels/turns.c -ldl

report() {
  lscpu | awk -F ': *' '
    /^(Model name|CPU family|Model|L1d cache|L2 cache|L3 cache):/ { text = text (text ? ", " : "") $1 " " $2 }
    END { print "# The kernels alone: " text "\n" }'
  changed=$(git diff --quiet HEAD -- Sources/CKernels Benchmarks/kernels || echo ' with changes')
  echo "\`this\`: commit $(git rev-parse --short HEAD)$changed, $(date -u +%Y-%m-%dT%H:%M:%SZ). Results were first held to the"
  echo 'definition in double.'
  "$work/turns" "$work/this" "$work/this-again" "$@"
}
if [ -n "${OUT:-}" ]; then
  mkdir -p "$OUT"
  report "$@" >"$work/README.md"
  mv "$work/README.md" "$OUT/README.md"
  say "$OUT/README.md"
else
  report "$@"
fi
