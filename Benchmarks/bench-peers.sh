#!/bin/sh
# Times Filigree beside its peers in one process and writes records and a table: see docs/Performance.md.
#
#   Benchmarks/bench-peers.sh [options of Benchmarks/peers/compare.py]
#
# The peers go into a throwaway environment, PEERS (by default .build-peers), and nowhere else. One that cannot be had is
# left out with a sentence. ISA=avx512 lifts the limit to AVX2 from Filigree and from every library.
set -eu
cd "$(dirname "$0")/.."
# shellcheck source=Tools/toolchain.sh
. Tools/toolchain.sh
find_toolchain

peers=${PEERS:-$PWD/.build-peers}
isa=${ISA:-avx2}
threads=${THREADS:-1}
python=$peers/venv/bin/python
mkdir -p "$peers"

if [ ! -x "$python" ]; then
  python3 -m venv "$peers/venv"
  "$python" -m pip install --quiet torch==2.13.0+cpu ||
    "$python" -m pip install --quiet torch==2.13.0 ||
    say 'PyTorch 2.13 cannot be installed here: it is left out'
  # One after another: what one lacks must not take the others along.
  grep -v '^#' Benchmarks/peers/requirements.txt | while read -r package; do
    "$python" -m pip install --quiet "$package" || say "$package cannot be installed here: it is left out"
  done
fi

# Debian's packages of BLIS and libxsmm, unpacked beside: nothing is installed.
if [ ! -d "$peers/root" ]; then
  mkdir -p "$peers/packages"
  for package in libblis4-pthread=0.9.0-1 libxsmm-dev=1.17-2; do
    (cd "$peers/packages" && apt-get download "$package" >/dev/null 2>&1) ||
      say "$package cannot be downloaded here: it is left out"
  done
  mkdir "$peers/root"
  for file in "$peers"/packages/*.deb; do
    [ ! -f "$file" ] || dpkg -x "$file" "$peers/root"
  done
fi
driver=$peers/root/libxsmm-driver.so
if [ -f "$peers/root/usr/lib/libxsmm.a" ] && { [ ! -f "$driver" ] || [ Benchmarks/peers/xsmm.c -nt "$driver" ]; }; then
  cc -O2 -shared -fPIC "-I$peers/root/usr/include" -o "$driver" Benchmarks/peers/xsmm.c \
    -Wl,--whole-archive "$peers/root/usr/lib/libxsmm.a" "$peers/root/usr/lib/libxsmmnoblas.a" -Wl,--no-whole-archive \
    -lpthread -ldl -lm || say 'the driver of libxsmm does not compile: libxsmm is left out'
fi

swift build -c release --product FiligreeBridge

# What the environment may say of kernels, it says here alone.
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE
if [ "$isa" = avx2 ]; then
  export OPENBLAS_CORETYPE=Haswell MKL_ENABLE_INSTRUCTIONS=AVX2 BLIS_ARCH_TYPE=haswell LIBXSMM_TARGET=hsw \
    ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2
fi
export OMP_NUM_THREADS="$threads" MKL_NUM_THREADS="$threads" OPENBLAS_THREAD_TIMEOUT=20 KMP_BLOCKTIME=1
processor=$(lscpu | awk -F ': *' '/^Model name/ { print $2; exit }' | tr -cs 'A-Za-z0-9' '-' | sed 's/^-*//; s/-*$//')
folder=${OUT:-Benchmarks/Results/peers-$isa-${threads}t_${processor}_$(date -u +%Y-%m-%d)}
"$python" -u Benchmarks/peers/compare.py --bridge "$PWD/.build/release/libFiligreeBridge.so" --root "$peers/root" \
  --out "$folder" --isa "$isa" --threads "$threads" "$@"
say "$folder/README.md"
