#!/bin/sh
# The checks beside the tests: format, kernels of every instruction set, lengths of files, layers, repeated code, the README's table, the
# shell scripts where shellcheck is installed, the script for a GPU where Python is.
#
# `check.sh cheap` is what the tests do not see and what needs neither the program nor shellcheck: the first five.
set -eu
cd "$(dirname "$0")/.."
# shellcheck source=Tools/toolchain.sh
. Tools/toolchain.sh
find_toolchain

# Every check runs, whatever the others say.
failed=0
wrong() {
  say "$*"
  failed=1
}

echo 'check: format'
swift format lint --strict --recursive --parallel --configuration .swift-format Package.swift Sources Tests Examples ||
  wrong 'the lines above are not formatted; make format corrects most'

# kernels.inc is compiled once for each instruction set, for machines that have it and machines that do not. Only headers
# of the compiler itself are included, so the other architecture needs no C library.
echo 'check: kernels'
flags='-std=c11 -O2 -Wall -Wextra -Werror -ffreestanding -ISources/CKernels/include -c -o /dev/null'
compile() { # triple, file
  # shellcheck disable=SC2086 # a list of words
  "$toolchain/clang" --target="$1" $flags "Sources/CKernels/$2" || wrong "Sources/CKernels/$2 does not compile for $1"
}
for triple in x86_64-unknown-linux-gnu aarch64-unknown-linux-gnu; do
  for file in scalar.c avx2.c avx512.c neon.c; do compile "$triple" "$file"; done
done
# The only file that asks the operating system; it needs this machine's headers.
"$toolchain/clang" -std=c11 -Wall -Wextra -Werror -ISources/CKernels/include -c -o /dev/null Sources/CKernels/dispatch.c ||
  wrong 'Sources/CKernels/dispatch.c does not compile'

echo 'check: lengths'
long=$(find Sources Tests Examples -name '*.swift' -exec awk 'END { if (NR > 400) print FILENAME ": " NR " lines" }' {} \;)
[ -z "$long" ] || wrong "no Swift file may be longer than 400 lines: $long"

# docs/Architecture.md lists the folders of Sources from the bottom up.
echo 'check: layers'
layers=$(sed -n 's|^  \([A-Za-z]*\)/ .*|\1|p' docs/Architecture.md)
for layer in $layers; do
  [ -d "Sources/$layer" ] || wrong "docs/Architecture.md lists $layer, and there is no Sources/$layer"
done
below=' '
for layer in $layers; do
  for import in $(sed -nE 's/^ *(@[a-z_()A-Z]+ )?(package |public |internal )?import ([a-z]+ )?([A-Za-z]+).*/\4/p' \
    "Sources/$layer"/*.swift "Sources/$layer"/*/*.swift 2>/dev/null | sort -u); do
    [ -d "Sources/$import" ] || continue
    case "$below" in
      *" $import "*) ;;
      *) wrong "$layer imports $import, which docs/Architecture.md does not list before it" ;;
    esac
  done
  below="$below$layer "
done
for folder in Sources/*/; do
  case "$below" in *" $(basename "$folder") "*) ;; *) wrong "docs/Architecture.md does not list $folder" ;; esac
done

# Lines of code: blank ones and ends of blocks, which any two files share, do not count.
echo 'check: structures'
repeated=$(for file in Sources/Structures/*.swift; do
  grep -vE '^[[:space:]]*([])}]*[[:space:]]*|//.*|import .*)$' "$file" | sed 's/^[[:space:]]*//' |
    awk -v file="$(basename "$file")" '
      { line[NR] = $0 }
      END { for (i = 6; i <= NR; i++) print line[i-5] "|" line[i-4] "|" line[i-3] "|" line[i-2] "|" line[i-1] "|" line[i] "\t" file }'
done | sort | awk -F '\t' '$1 == last && $2 != where { print where " and " $2 ": " $1 } { last = $1; where = $2 }')
[ -z "$repeated" ] || wrong "two structures repeat six lines of each other: $repeated"

if [ "${1-}" != cheap ]; then
  echo 'check: README'
  program=.build/release/filigree
  begin='<!-- structures:begin -->'
  end='<!-- structures:end -->'
  if ! table=$("$program" list --markdown); then
    wrong "$program list --markdown does not run; run make build first"
  elif [ "$(sed -n "/^$begin\$/,/^$end\$/{//!p;}" README.md | sed '/^$/d')" != "$table" ]; then
    wrong "README.md has between '$begin' and '$end' another table than '$program list --markdown' prints; put that there"
  fi

  if command -v shellcheck >/dev/null; then
    echo 'check: shell scripts'
    shellcheck -x Tools/*.sh Benchmarks/*.sh .ci/run || wrong 'the shell scripts have the faults above'
  else
    say 'shellcheck is not here: the shell scripts were not checked'
  fi

  if command -v python3 >/dev/null; then
    echo 'check: the script for a GPU, with a stand-in for the program'
    python3 Benchmarks/gpu_checks.py || wrong 'Benchmarks/gpu.sh or one of its programs does not do what its checks say'
  else
    say 'python3 is not here: the checks of Benchmarks/gpu.sh were left out'
  fi
fi
exit "$failed"
