#!/bin/sh
# Everything that needs an NVIDIA GPU, in parts of under ten minutes: records out, nothing taken for granted.
#
#   Here, without a GPU, into .build-gpu:
#     Benchmarks/gpu.sh build             the static program, and filigree.gz, which is smaller
#     Benchmarks/gpu.sh cubins            the kernels' machine code for sm_90a into .build-gpu/cache; needs make setup-cuda
#     Benchmarks/gpu.sh tokens TEXT...    a tokenizer of 32000 pieces learned from the texts, and their tokens: tokens/,
#                                       and tokens.tar.gz, which is smaller
#   There, with a driver, CUDA 13.0 and PyTorch:
#     Benchmarks/gpu.sh PART [OUT]        PART is one of these, or one behind a dash, such as laws-bf16
#       doctor                            what was found
#       laws -fp32 -tf32 -bf16            every structure at awkward shapes, and at one that reaches the tensor cores' own
#                                         kernels: each product verified against its definition
#       fixtures -fp32 -tf32 -bf16        losses of small models beside transformers' figures in the tree
#       curves                            the same training on the CPU and on the GPU: losses within the bound of gpu_curves.py
#       sanitize -memcheck -racecheck -synccheck -initcheck -train
#                                         compute-sanitizer over some products, and over two training steps
#       bench-64 bench-128 bench-24 bench-small
#                                         PyTorch's products, then ours: block-sparse and 2:4 at 4096x14336 and 14336x4096, much
#                                         at 3072x768 and 768x3072, T = 8192; bench is all four
#       step -peers -dense -bsr-64 -bsr-32
#                                         training steps of mistral-162m, 64 x 1024 tokens, beside torch.compile
#       experiment                        the reference experiment: each structure at equal tokens; the same again continues it
#       verdicts                          what was asked, what was measured: OUT/verdicts.md; needs no GPU
#       all                               one after another
#     OUT is a folder for the records, Benchmarks/Results/gpu by default. Each part's records but checkpoints are also packed into
#     PART.tar.gz there, or in the folder ARCHIVES.
#   On a machine that stays for hours:
#     Benchmarks/gpu.sh survey [OUT]      the experiment as a survey with its report; the same again continues it
#
# FILIGREE names another program; CACHE the folder that holds filigree/*.cubin; DATA a text or a folder for step, experiment and
# survey in place of .build-gpu/tokens, and TOKENIZER its tokenizer; LIMIT the seconds of a part (560); STEPS those of a run of the
# experiment (200); STRUCTURES its structures, as label@density; HOURS those of the survey (8); TOOLKIT the folder of CUDA where
# compute-sanitizer is looked for last (/usr/local/cuda). A part that has run out of time leaves what it recorded. laws and bench
# are several parts one after another: their parts have their time each.
#
# Exit status 3 where there is no GPU; 1 where a product was wrong or a part failed or did not end; 0 else.

# shellcheck disable=SC2329 # parts are called by their names
set -u
cd "$(dirname "$0")/.." || exit 1
here=$PWD
program=${FILIGREE:-.build-gpu/filigree}
cache=${CACHE:-$here/.build-gpu/cache}
limit=${LIMIT:-560}
toolkit=${TOOLKIT:-/usr/local/cuda}
begun=
part=${1-}
# Programs in Python leave nothing beside themselves.
PYTHONDONTWRITEBYTECODE=1
export PYTHONDONTWRITEBYTECODE

say() { printf 'gpu: %s\n' "$*" >&2; }

usage() {
  sed -n '2,/^$/s/^# \{0,1\}//p' "$0"
  exit 2
}

# --- Without a GPU

build() {
  swift build -c release --static-swift-stdlib --product filigree --scratch-path .build-gpu/swift || exit 1
  cp .build-gpu/swift/release/filigree .build-gpu/filigree && strip .build-gpu/filigree || exit 1
  gzip -9 -c .build-gpu/filigree >.build-gpu/filigree.gz || exit 1
  say "$(wc -c <.build-gpu/filigree) bytes in .build-gpu/filigree, $(wc -c <.build-gpu/filigree.gz) in .build-gpu/filigree.gz"
}

tokens() { # texts...
  [ "$#" -gt 0 ] || usage
  [ ! -e .build-gpu/tokens ] || {
    say '.build-gpu/tokens is there already; remove it to make it anew'
    exit 1
  }
  mkdir -p .build-gpu
  "$program" tokenize train --vocabulary 32000 --data "$@" --out .build-gpu/tokenizer.json &&
    "$program" tokenize --tokenizer .build-gpu/tokenizer.json --holdout 0.02 --data "$@" --out .build-gpu/tokens &&
    tar -C .build-gpu -czf .build-gpu/tokens.tar.gz tokens || exit 1
  say "$(du -sk .build-gpu/tokens | cut -f 1) KiB in .build-gpu/tokens, $(wc -c <.build-gpu/tokens.tar.gz) bytes in .build-gpu/tokens.tar.gz"
}

unpack_tokens() {
  [ -d .build-gpu/tokens ] || [ ! -f .build-gpu/tokens.tar.gz ] || tar -C .build-gpu -xzf .build-gpu/tokens.tar.gz || exit 1
}

unpack_program() {
  [ -x "$program" ] || [ ! -f "$program.gz" ] || { gzip -d -c "$program.gz" >"$program" && chmod +x "$program"; }
  [ -x "$program" ] || command -v "$program" >/dev/null || {
    say "$program is not here; make it with Benchmarks/gpu.sh build on a machine with Swift, or name one in FILIGREE"
    exit 1
  }
}

case $part in
build) build && exit 0 ;;
cubins) exec python3 Benchmarks/gpu_cubins.py .build-gpu/cache ;;
tokens)
  unpack_program
  shift
  tokens "$@" && exit 0
  ;;
esac

out=${2-Benchmarks/Results/gpu}
archives=${ARCHIVES:-$out}

# --- What a part is made of

# Seconds that a part is guessed to take on a bare machine: counted, not measured.
estimate() {
  case $1 in
  doctor | fixtures-*) echo 40 ;;
  curves | sanitize-* | step-dense | step-bsr-*) echo 110 ;;
  fixtures) echo 120 ;;
  step-peers | bench-24) echo 250 ;;
  bench-64 | bench-128 | bench-small) echo 400 ;;
  laws-* | sanitize | step) echo 500 ;;
  experiment) echo "$limit" ;;
  *) echo 5 ;;
  esac
}

left() { echo $((deadline - $(date +%s))); }

# Seconds from a command's end to its being killed, where it does not heed the first.
grace=20

# Runs a command for so many seconds at most and never beyond the part's own; its log lies beside the records.
within() { # name, seconds, command...
  name=$1
  seconds=$2
  shift 2
  [ "$(left)" -ge "$seconds" ] || seconds=$(left)
  if [ "$seconds" -lt 5 ]; then
    say "$name: not run: the part's $limit s are over"
    echo "not run: the part's $limit s were over" >"$out/$name.log"
    return 125
  fi
  say "$name: at most $seconds s: $*"
  from=$(date +%s)
  timeout -k "$grace" "$seconds" "$@" >"$out/$name.log" 2>&1
  status=$?
  took=$(($(date +%s) - from))
  tail -n 25 "$out/$name.log"
  # 137 is also that of a command that something else killed.
  if [ "$took" -ge "$seconds" ] && { [ "$status" = 124 ] || [ "$status" = 137 ]; }; then
    say "$name: stopped after $seconds s; what it recorded counts"
    status=124
  elif [ "$status" = 137 ]; then
    say "$name: killed after $took s, not for its time: memory may have run out; its log is $out/$name.log"
  elif [ "$status" != 0 ]; then
    say "$name: failed with status $status; its log is $out/$name.log"
  fi
  return "$status"
}

# What the whole of a part says at the end: 0 unless one command failed.
failed=0
check() { "$@" || failed=1; }

# A command with the text behind it, where there is one.
with_data() { # command...
  if [ -n "${DATA-}" ]; then
    set -- "$@" --data "$DATA"
    [ -z "${TOKENIZER-}" ] || set -- "$@" --tokenizer "$TOKENIZER"
  elif [ -d .build-gpu/tokens ]; then
    set -- "$@" --data .build-gpu/tokens/*_train_*.bin --validation .build-gpu/tokens/*_val_*.bin
  fi
  "$@"
}
has_data() {
  [ -n "${DATA-}" ] || [ -d .build-gpu/tokens ] || {
    say 'there is no text to train on: make .build-gpu/tokens with Benchmarks/gpu.sh tokens TEXT..., or name one in DATA'
    failed=1
    return 1
  }
}

# The kernels compiled ahead, and nothing else of what a folder remembers, into a folder of its own.
fresh_cache() { # folder
  rm -rf "$1"
  mkdir -p "$1/filigree"
  for file in "$cache"/filigree/*.cubin; do
    [ ! -f "$file" ] || cp "$file" "$1/filigree/"
  done
}

pack() { # part
  mkdir -p "$archives" || return
  archive=$(cd "$archives" && pwd)/$1.tar.gz
  (
    cd "$out" || exit 1
    find . -name checkpoints -prune -o -name sanitized -prune -o -type f \( -name '*.json' -o -name '*.jsonl' -o -name '*.log' \
      -o -name '*.md' -o -name '*.txt' -o -name '*.tsv' -o -name DONE -o -name DIVERGED \) -print | tar -czf "$archive" -T -
  ) && say "$archive: $(wc -c <"$archive") bytes"
}

# --- The parts

# A kernel that faults in its first check ends the process; the cache then has the mark that keeps the next one from it.
ready() {
  for attempt in first second; do
    log=.build-gpu/ready-$attempt.log
    timeout -k 20 250 "$program" doctor --device cuda >"$log" 2>&1
    status=$?
    [ "$status" != 0 ] || return 0
    tail -n 3 "$log" >&2
    [ "$status" != 3 ] || exit 3
    say "the $attempt doctor ended with status $status"
  done
  say 'the GPU cannot be used; see .build-gpu/ready-*.log'
  exit 1
}

doctor() { check within doctor 200 "$program" doctor --device cuda; }

# Where the GPU's energy can be read each product takes half a second more, so that not every shape meets every number of tokens.
laws_of() { # precision
  # Enough strips and tokens for every multiprocessor, in either direction; 2^27 operations, from which choices are measured.
  check within "laws-$1-large" 300 "$program" bench --device cuda --precision "$1" \
    --structures 'dense,bsr-32,bsr-64,bsr-128,csr,nm-2:4,nm-2:4t,monarch-4,lowrank-64' --shapes 4096x1024,1024x4096 --tokens 2000 \
    --densities 0.5,0.1 --budget 0 --quiet --out "$out/laws-$1.jsonl"
  for cell in 128x256@130 272x48@17 15x21@17 1x7@1; do
    check within "laws-$1-${cell%@*}" "$limit" "$program" bench --device cuda --precision "$1" --structures '*' \
      --shapes "${cell%@*}" --tokens "${cell#*@}" --densities 1,0.5,0.1 --budget 0 --quiet --out "$out/laws-$1.jsonl"
  done
}

fixtures_of() { # precision
  check within "fixtures-$1" 180 python3 Benchmarks/gpu_fixtures.py "$program" cuda "$1" "$out/fixtures" "$out/fixtures-$1.jsonl"
}
fixtures() {
  for precision in bf16 fp32 tf32; do fixtures_of "$precision"; done
}

curve() { # name, options...
  kind=$1
  shift
  rm -rf "${out:?}/curve-$kind"
  check within "curve-$kind" 120 "$program" train --preset mistral-tiny --steps 60 --structure bsr-32 --density 0.5 \
    --checkpoint-every 1000 --quiet --out "$out/curve-$kind" "$@"
}
curves() {
  curve cuda-bf16 --device cuda --precision bf16
  curve cuda-fp32 --device cuda --precision fp32
  curve cpu
  curve cpu-scalar --isa scalar
  curve cpu-seed-2 --seed 2
  check within curves 60 python3 Benchmarks/gpu_curves.py "$out/curve-cpu" "$out/curve-cpu-scalar" "$out/curve-cpu-seed-2" \
    "$out/curve-cuda-fp32" "$out/curve-cuda-bf16"
}

sanitizer() {
  for place in "$(command -v compute-sanitizer)" "${CUDA_HOME-}/bin/compute-sanitizer" "${CUDA_PATH-}/bin/compute-sanitizer" \
    "$toolkit/bin/compute-sanitizer" "$toolkit/compute-sanitizer/compute-sanitizer"; do
    [ ! -x "$place" ] || {
      echo "$place"
      return 0
    }
  done
  return 1
}
# One tool, with a cache of its own: a check that a slow tool cuts short must not mark the kernels for everything after it.
sanitize_with() { # name, seconds
  tool=$1
  [ "$tool" != train ] || tool=memcheck
  if ! found=$(sanitizer); then
    echo "$1: not run: compute-sanitizer is not installed here" | tee -a "$out/sanitize.txt"
    return
  fi
  fresh_cache "$here/.build-gpu/cache-sanitize-$1"
  if [ "$1" = train ]; then
    rm -rf "${out:?}/sanitized"
    set -- "$1" "$2" train --preset mistral-tiny --steps 2 --batch 1 --sequence 64 --checkpoint-every 1000 --out "$out/sanitized"
  else
    set -- "$1" "$2" bench --structures 'bsr-32,bsr-128,csr,nm-2:4t,monarch-4,lowrank-16' --shapes 128x256 --tokens 130 \
      --densities 0.5 --budget 0
  fi
  what=$1
  seconds=$2
  shift 2
  within "sanitize-$what" "$seconds" env XDG_CACHE_HOME="$here/.build-gpu/cache-sanitize-$what" "$found" --tool "$tool" \
    --error-exitcode 9 "$program" "$@" --device cuda --quiet
  status=$?
  log=$out/sanitize-$what.log
  if grep -q 'Device not supported' "$log"; then
    result='not run: compute-sanitizer says "Device not supported"'
  elif [ "$status" = 0 ]; then
    result='clean'
  elif [ "$status" = 124 ] || [ "$status" = 125 ]; then
    result='did not end in its time'
    failed=1
  else
    result="failed with status $status; see $(basename "$log")"
    failed=1
  fi
  echo "$what: $result" | tee -a "$out/sanitize.txt"
}
sanitize() {
  for what in memcheck synccheck train racecheck initcheck; do sanitize_with "$what" 110; done
}

products() { # name, seconds, options of gpu_peers.py...
  name=$1
  seconds=$2
  shift 2
  check within "peers-$name" "$seconds" python3 Benchmarks/gpu_peers.py products "$out/peers-$name.jsonl" "$@"
}
bench_of() { # name, seconds, structures, shapes, densities
  check within "bench-$1" "$2" "$program" bench --device cuda --structures "$3" --shapes "$4" --tokens 8192 --densities "$5" \
    --quiet --out "$out/bench-$1.jsonl"
}
large=4096x14336,14336x4096
small=3072x768,768x3072
bench_blocks() { # side
  products "$1" 150 --peers "dense,bsr-$1" --shapes "$large" --densities 0.1,0.05,0.5,0.25
  # What was asked first.
  bench_of "$1" 400 "bsr-$1" "$large" 0.1,0.05
  bench_of "$1" 400 "bsr-$1" "$large" 0.5,0.25
}
bench_24() {
  products 24 120 --peers dense,2:4 --shapes "$large"
  bench_of 24 400 'dense,nm-2:4,nm-2:4t' "$large" 0.5
}
bench_small() {
  products small 120 --peers dense,bsr-32,bsr-64,bsr-128,2:4 --shapes "$small" --densities 0.5,0.25,0.1,0.05
  bench_of small 400 'dense,bsr-32,bsr-64,bsr-128,nm-2:4,nm-2:4t' "$small" 0.5,0.25,0.1,0.05
  bench_of small 400 'csr,monarch-*,lowrank-*' "$small" 0.1
}

step_of() { # structure, density
  rm -rf "${out:?}/step-$1"
  check with_data within "step-$1" 150 "$program" train --device cuda --preset mistral-162m --steps 12 --structure "$1" \
    --density "$2" --checkpoint-every 1000 --evaluate-every 1000 --quiet --out "$out/step-$1"
  rm -rf "$out/step-$1/checkpoints"
}
step_peers() { check within peers-step 250 python3 Benchmarks/gpu_peers.py step "$out/peers-step.jsonl"; }
step() {
  step_of dense 1
  step_of bsr-64 0.1
  step_peers
  step_of bsr-32 0.1
  within steps 30 python3 Benchmarks/gpu_curves.py --steps "$out"/step-*/ || true
}

# Each structure's run whole: only its records go from machine to machine, and a run that was cut off without its checkpoint
# begins anew. One whose loss exploded would do so again: it keeps the sentence that says so, and later calls leave it out.
experiment() {
  has_data || return 0
  mkdir -p "$out/experiment"
  for packed in "$archives/experiment.tar.gz" "$out/experiment.tar.gz"; do
    [ ! -f "$packed" ] || tar -C "$out" --skip-old-files -xzf "$packed" || failed=1
  done
  for one in ${STRUCTURES:-dense@1 bsr-64@0.1 bsr-32@0.1 nm-2:4t@0.5 lowrank-64@0.1 monarch-12@0.1}; do
    structure=${one%@*}
    run=$out/experiment/$structure-${one#*@}
    [ ! -e "$run/DONE" ] || continue
    [ ! -e "$run/DIVERGED" ] || {
      say "experiment: $one diverged in an earlier call and is left out: $(head -n 1 "$run/DIVERGED")"
      continue
    }
    [ "$(left)" -ge 60 ] || {
      say "experiment: $one waits for the next call"
      failed=1
      continue
    }
    resume=--resume
    [ -d "$run/checkpoints" ] || {
      rm -rf "$run"
      resume=
    }
    # The last half minute is for the checkpoint of a run that is cut off.
    grace=30
    # shellcheck disable=SC2086 # nothing, or one word
    with_data within "experiment-$structure" "$(($(left) - grace))" "$program" train --device cuda --preset mistral-162m \
      --steps "${STEPS:-200}" --structure "$structure" --density "${one#*@}" --checkpoint-every 1000000 --keep 1 --quiet $resume \
      --out "$run" || {
      failed=1
      # What the program advises where the loss exploded, and nowhere else.
      if exploded=$(grep -m 1 'lower --learning-rate or the initializer range' "$out/experiment-$structure.log"); then
        mkdir -p "$run"
        echo "$exploded" >"$run/DIVERGED"
      fi
    }
    grace=20
    [ ! -e "$run/DONE" ] || rm -rf "$run/checkpoints"
  done
}

survey() {
  has_data || return 0
  # The survey is left to be continued by the same command.
  check with_data timeout -k 60 "${HOURS:-8}h" "$program" survey --device cuda --preset quick --model mistral-162m \
    --steps "${STEPS:-2000}" --structures 'bsr-64,bsr-32,nm-2:4t,lowrank-*,monarch-*' --densities 0.5,0.1 --out "$out/survey"
}

verdicts() { python3 Benchmarks/gpu_verdicts.py "$out" || failed=1; }

# --- Which part

run() { # part
  start=${begun:-$(date +%s)}
  begun=
  deadline=$((start + limit))
  if [ "$1" = survey ]; then
    say "survey: at most ${HOURS:-8} hours; the same command continues it"
  else
    say "$1: about $(estimate "$1") s by estimate, at most $limit s"
  fi
  case $1 in
  doctor | fixtures | curves | sanitize | step | experiment | survey) "$1" ;;
  laws-fp32 | laws-tf32 | laws-bf16) laws_of "${1#*-}" ;;
  fixtures-fp32 | fixtures-tf32 | fixtures-bf16) fixtures_of "${1#*-}" ;;
  sanitize-memcheck | sanitize-racecheck | sanitize-synccheck | sanitize-initcheck | sanitize-train)
    sanitize_with "${1#*-}" "$limit" ;;
  bench-64 | bench-128) bench_blocks "${1#*-}" ;;
  bench-24) bench_24 ;;
  bench-small) bench_small ;;
  step-peers) step_peers ;;
  step-dense) step_of dense 1 ;;
  step-bsr-64 | step-bsr-32) step_of "${1#*-}" 0.1 ;;
  *) usage ;;
  esac
  say "$1: $(($(date +%s) - start)) s"
}

case $part in
doctor | laws | laws-fp32 | laws-tf32 | laws-bf16 | fixtures | fixtures-fp32 | fixtures-tf32 | fixtures-bf16 | curves | sanitize | \
  sanitize-memcheck | sanitize-racecheck | sanitize-synccheck | sanitize-initcheck | sanitize-train | bench | bench-64 | \
  bench-128 | bench-24 | bench-small | step | step-peers | step-dense | step-bsr-64 | step-bsr-32 | experiment | survey | \
  verdicts | all) ;;
*) usage ;;
esac
[ "$limit" -ge 10 ] 2>/dev/null || {
  say "LIMIT is '$limit'; give whole seconds from 10"
  exit 2
}
if [ "$part" != verdicts ]; then
  unpack_program
  unpack_tokens
  rm -f .build-gpu/ready-*.log
  mkdir -p "$cache/filigree" .build-gpu
  # A relative one is not looked at.
  cache=$(cd "$cache" && pwd) || exit 1
  XDG_CACHE_HOME=$cache
  export XDG_CACHE_HOME
  # The time until the GPU is ready is the first part's too.
  begun=$(date +%s)
  ready
  mkdir -p "$out" || exit 1
  for attempt in first second; do
    [ ! -f ".build-gpu/ready-$attempt.log" ] || cp ".build-gpu/ready-$attempt.log" "$out/"
  done
  # Every GPU that gave records for this folder.
  gpu=$(nvidia-smi --query-gpu=name --format=csv,noheader 2>/dev/null | head -n 1)
  [ -z "$gpu" ] || grep -qxF "$gpu" "$out/gpus.txt" 2>/dev/null || echo "$gpu" >>"$out/gpus.txt"
fi
case $part in
verdicts) verdicts ;;
bench) for one in bench-64 bench-128 bench-24 bench-small; do run "$one"; done ;;
laws) for one in laws-bf16 laws-fp32 laws-tf32; do run "$one"; done ;;
all)
  for one in doctor laws-bf16 laws-fp32 laws-tf32 fixtures curves bench-64 bench-24 step bench-128 bench-small sanitize \
    experiment; do
    run "$one"
  done
  verdicts
  ;;
*) run "$part" ;;
esac
[ "$part" = verdicts ] || pack "$part" || {
  say "$part: its records could not be packed into $archives/$part.tar.gz; they are in $out"
  failed=1
}
exit "$failed"
