#!/bin/sh
# Everything that needs an NVIDIA GPU, in parts of under ten minutes: records in, nothing taken for granted.
#
#   Benchmarks/gpu.sh build             here, with Swift: the static program into .build-gpu/filigree
#   Benchmarks/gpu.sh PART [OUT]        there, with a driver, CUDA 13.0 and PyTorch: PART is one of
#     doctor      what was found
#     laws        every structure at awkward shapes, in fp32, tf32 and bf16: each product verified against its definition
#     curves      the same training on the CPU and on the GPU, and the largest distance of their losses
#     sanitize    compute-sanitizer over some products and two training steps; says so where it is not installed
#     bench       block-sparse, 2:4 (beside cuSPARSELt where it is installed), factors and compressed rows at 4096x14336,
#                 14336x4096 and 3072x768, T = 8192
#     peers       cuBLAS, PyTorch's BSR and semi-structured, and torch.compile of transformers' Mistral, on the same card
#     step        training steps of mistral-162m, 64 x 1024 tokens: dense and structures
#     experiment  the reference experiment for ten minutes more; the same command again continues it
#     all         all of them in this order
#   OUT is a folder for the records, Benchmarks/Results/gpu by default. DATA may name texts for curves, step and experiment.
#
# Exit status 3 where there is no GPU; 1 where a product was wrong or a part failed.
set -u
cd "$(dirname "$0")/.." || exit 1
program=${FILIGREE:-.build-gpu/filigree}
part=${1-}
out=${2-Benchmarks/Results/gpu}
limit=580

say() { printf 'gpu: %s\n' "$*" >&2; }

# Runs a command within the part's time; its log lies beside the records.
within() { # name, command...
  name=$1
  shift
  say "$name: $*"
  timeout "$limit" "$@" >"$out/$name.log" 2>&1
  status=$?
  tail -n 25 "$out/$name.log"
  [ "$status" = 124 ] && say "$name: stopped after $limit s; what it recorded counts"
  return "$status"
}

if [ "$part" = build ]; then
  swift build -c release --static-swift-stdlib --product filigree --scratch-path .build-gpu/swift || exit 1
  cp .build-gpu/swift/release/filigree .build-gpu/filigree
  strip .build-gpu/filigree
  say "$(ls -l .build-gpu/filigree | awk '{ print $5 }') bytes in .build-gpu/filigree"
  exit 0
fi
case $part in
doctor | laws | curves | sanitize | bench | peers | step | experiment | all) ;;
*)
  sed -n '2,/^set -u/{/^set -u/d;s/^# \{0,1\}//;p;}' "$0"
  exit 2
  ;;
esac
[ -x "$program" ] || {
  say "$program is not here; make it with Benchmarks/gpu.sh build on a machine with Swift, or name one in FILIGREE"
  exit 1
}
"$program" doctor --device cuda --quiet >/dev/null || exit $?
mkdir -p "$out"

data() { [ -z "${DATA-}" ] || printf '%s\n%s\n' --data "$DATA"; }

doctor() { within doctor "$program" doctor --device cuda; }

laws() {
  failed=0
  for precision in fp32 tf32 bf16; do
    within "laws-$precision" "$program" bench --device cuda --precision "$precision" --structures '*' \
      --shapes 128x256,96x64,272x48,15x21,1x7 --tokens 1,17,130 --densities 1,0.5,0.1 --budget 0 --quiet \
      --out "$out/laws-$precision.jsonl" || failed=1
  done
  return "$failed"
}

curves() {
  # shellcheck disable=SC2046 # a list of words
  for device in cpu cuda-fp32 cuda-bf16; do
    rm -rf "$out/curve-$device"
    precision=fp32
    [ "$device" = cpu ] || precision=${device#cuda-}
    within "curve-$device" "$program" train --device "${device%%-*}" --precision "$precision" \
      --preset mistral-tiny --steps 60 --structure bsr-32 --density 0.5 --quiet $(data) --out "$out/curve-$device" || return 1
  done
  python3 Benchmarks/gpu_curves.py "$out/curve-cpu" "$out/curve-cuda-fp32" "$out/curve-cuda-bf16" | tee "$out/curves.txt"
}

sanitize() {
  command -v compute-sanitizer >/dev/null || {
    say 'sanitize: compute-sanitizer is not installed here; nothing was checked with it'
    return 0
  }
  failed=0
  for tool in memcheck racecheck synccheck initcheck; do
    within "sanitize-$tool" compute-sanitizer --tool "$tool" --error-exitcode 9 "$program" bench --device cuda \
      --structures 'bsr-32,bsr-128,csr,monarch-4,lowrank-16' --shapes 128x256 --tokens 130 --densities 0.5 --budget 0 --quiet ||
      failed=1
  done
  rm -rf "$out/sanitized"
  within sanitize-train compute-sanitizer --error-exitcode 9 "$program" train --device cuda --preset mistral-tiny --steps 2 \
    --batch 1 --sequence 64 --quiet --out "$out/sanitized" || failed=1
  return "$failed"
}

bench() {
  within bench-large "$program" bench --device cuda --structures 'dense,bsr-64,bsr-128' \
    --shapes 4096x14336,14336x4096 --tokens 8192 --densities 0.5,0.25,0.1,0.05 --quiet --out "$out/bench.jsonl" &&
    within bench-sparse "$program" bench --device cuda --structures 'nm-2:4t' --shapes 4096x14336,14336x4096 --tokens 8192 \
      --densities 0.5 --quiet --out "$out/bench.jsonl" &&
    within bench-others "$program" bench --device cuda \
      --structures 'dense,bsr-32,bsr-64,csr,nm-2:4,nm-2:4t,monarch-*,lowrank-*' \
      --shapes 3072x768,768x3072 --tokens 8192 --densities 0.5,0.1 --quiet --out "$out/bench.jsonl"
}

peers() { within peers python3 Benchmarks/gpu_peers.py "$out/peers.jsonl"; }

step() {
  for structure in dense:1 bsr-64:0.1 bsr-32:0.1; do
    name=step-${structure%%:*}
    rm -rf "${out:?}/$name"
    # shellcheck disable=SC2046 # a list of words
    within "$name" "$program" train --device cuda --preset mistral-162m --steps 12 --structure "${structure%%:*}" \
      --density "${structure##*:}" --quiet $(data) --out "$out/$name" || return 1
  done
  python3 Benchmarks/gpu_curves.py --steps "$out"/step-* | tee "$out/steps.txt"
}

experiment() {
  # shellcheck disable=SC2046 # a list of words
  within experiment "$program" survey --device cuda --preset full --quiet $(data) --out "$out/survey"
  status=$?
  # The survey is left to be continued by the same command.
  [ "$status" = 124 ] || return "$status"
}

if [ "$part" = all ]; then
  failed=0
  for one in doctor laws curves sanitize bench peers step experiment; do
    "$one" || {
      say "$one failed with status $?"
      failed=1
    }
  done
  exit "$failed"
fi
"$part"
