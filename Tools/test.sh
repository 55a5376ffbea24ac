#!/bin/sh
# Runs every test in release. While they run, the build's progress, the closing line of each suite and what goes wrong are shown;
# at the end, what failed, or the laws that each family of structures has passed.
#
# The tests see internal declarations, which takes another flag than the program's: in a folder of their own neither makes
# the other compile again.
set -u
cd "$(dirname "$0")/.."
log=$(mktemp)
trap 'rm -f "$log" "$log.failed"' EXIT
trap 'exit 130' INT TERM

# What is let through as it comes, and nothing else: a case's arguments may have many lines, and any words in them.
shown='^\[[0-9]+/[0-9]+\] |^Build(ing for | complete)|^✔ Suite .* passed after |^✘ |(error|warning|Fatal error): '

# The status of the first command of the pipe, which sh does not keep.
exec 4>&1
status=$({ {
  swift test -c release -Xswiftc -enable-testing --scratch-path .build-tests "$@" 2>&1
  echo $? >&3
} | tee "$log" | grep --line-buffered -E "$shown" >&4; } 3>&1)
# A kernel's test says so for each architecture.
grep -m 1 '^NVRTC is not installed' "$log"

if [ "$status" != 0 ]; then
  echo 'test: failed:' >&2
  if [ "$status" -gt 128 ]; then echo "swift test was ended by signal $((status - 128))" >&2; fi
  # A failure goes on, with what was compared and said, to the next event.
  awk '
    /^(◇|✔) / { isFailure = 0 }
    /^✘ / { isFailure = 1 }
    isFailure || /error:|Fatal error/ { print; found = 1 }
    END { exit !found }
  ' "$log" >"$log.failed" && head -n 400 "$log.failed" >&2 || tail -n 20 "$log" >&2
  # SwiftPM does not say why a package could not be fetched.
  if grep -q "^error: .*repositories/" "$log"; then
    echo 'a Swift package could not be fetched: the first build needs the network' >&2
  fi
  exit "$status"
fi
awk '
  # A case of a law names its structure, and the law begins with its number.
  match($0, /subject → [^ ]+/) && match($0, / to "[0-9]+ /) {
    law = substr($0, RSTART + 5, RLENGTH - 6)
    match($0, /subject → [^ ]+/)
    label = substr($0, RSTART, RLENGTH)
    sub(/^subject → /, "", label)
    sub(/-[^-]*$/, "", label)
    cases[label]++
    if (!((label, law) in seen)) { seen[label, law] = 1; laws[label] = laws[label] " " law }
  }
  END { for (label in cases) printf "%-14s %6d cases of the laws%s\n", label, cases[label], laws[label] }
' "$log" | sort
grep -E '^✔ Test run' "$log"
