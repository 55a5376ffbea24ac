# The Swift toolchain that `swift` on PATH stands for. To be sourced; sets `target_info` and `toolchain`, its folder of programs.
# shellcheck shell=sh disable=SC2034 # used by those who source it

say() { printf '%s: %s\n' "$(basename "$0" .sh)" "$*" >&2; }
refuse() {
  say "$*"
  exit 1
}

find_toolchain() {
  swift=$(command -v swift) ||
    refuse "there is no swift on PATH; install Swift $needed_swift or later from https://www.swift.org/install/linux and run make again"
  # `swift` may be a launcher such as swiftly's: only the compiler knows where it lies.
  target_info=$(swift -print-target-info 2>&1) || :
  resources=$(printf '%s\n' "$target_info" | sed -n 's/.*"runtimeResourcePath": "\(.*\)".*/\1/p')
  if [ -n "$resources" ]; then
    toolchain=${resources%/lib/swift*}/bin
  else
    toolchain=$(dirname "$(readlink -f "$swift")")
  fi
}

needed_swift=6.3
