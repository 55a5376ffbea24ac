#!/bin/sh
# Compiles every CUDA source for sm_80 and sm_90a and asserts that no hot kernel spills, runs the kernels' numerics on the host,
# compares the declarations of Sources/CCUDA with the headers of the driver, of NVRTC and of what else lies there, and prints a line
# that ends in the number of kernels. Needs no GPU; needs what Tools/setup-cuda.sh installs.
set -eu
cd "$(dirname "$0")/.."
# shellcheck source=Tools/toolchain.sh
. Tools/toolchain.sh
find_toolchain
site=.build-cuda/site
include=$(find "$site" -name cuda.h -exec dirname {} \; 2>/dev/null | head -n 1)
[ -n "$include" ] || refuse 'NVRTC and the CUDA headers are not here; run make setup-cuda first'

echo 'check-cuda: declarations'
set -- -I"$include"
missing=
for header in cublasLt.h nvml.h cusparseLt.h; do
  folder=$(find "$site" -name "$header" -exec dirname {} \; | head -n 1)
  if [ -n "$folder" ]; then set -- "$@" -I"$folder"; else missing="$missing $header"; fi
done
"$toolchain/clang" -std=c11 -Wall -Werror -fsyntax-only "$@" -ISources/CCUDA/include Tools/check-cuda.c
[ -z "$missing" ] || echo "check-cuda: not compared, for the headers are not in $site:$missing"

echo 'check-cuda: kernels'
log=$(mktemp)
trap 'rm -f "$log"' EXIT
swift test -c release -Xswiftc -enable-testing --scratch-path .build-tests --filter CUDATests >"$log" 2>&1 || {
  grep -E '^✘ Test |error:|recorded an issue' "$log" | head -n 100 >&2
  refuse 'the tests above failed'
}
# Lines such as "compiled for sm_90a in bf16: 54".
grep -E '^compiled for sm_' "$log" || refuse 'the tests compiled nothing: NVRTC was not found'
grep -E '^✔ Test run' "$log"
kernels=$(sed -n 's/^compiled for .*: \([0-9]*\)$/\1/p' "$log" | sort -n | tail -n 1)
echo "check-cuda: kernels compiled for sm_80 and sm_90a without spills, and run on the host: $kernels"
