#!/bin/sh
# Installs NVRTC and the CUDA headers of one pinned version into .build-cuda/site, from Python wheels; no GPU is needed, and
# nothing outside that folder is touched. Does nothing, at once, where they are there.
#
# Pinned to 13.0: the compiler must not be newer than the drivers that its machine code is for.
set -eu
cd "$(dirname "$0")/.."
nvrtc=13.0.88
runtime=13.0.96
site=.build-cuda/site
stamp=$site/filigree-$nvrtc-$runtime

say() { printf 'setup-cuda: %s\n' "$*" >&2; }
if [ -e "$stamp" ]; then
  say "NVRTC $nvrtc is in $site"
  exit 0
fi
python=$(command -v python3) || {
  say 'there is no python3 on PATH, whose pip fetches the wheels; install python3 and python3-pip'
  exit 1
}
"$python" -m pip --version >/dev/null 2>&1 || {
  say 'this python3 has no pip; install python3-pip'
  exit 1
}
say "installing nvidia-cuda-nvrtc $nvrtc and nvidia-cuda-runtime $runtime (92 MB) into $site"
rm -rf "$site.partial"
"$python" -m pip install --quiet --disable-pip-version-check --no-deps --only-binary=:all: --no-compile --target "$site.partial" \
  "nvidia-cuda-nvrtc==$nvrtc" "nvidia-cuda-runtime==$runtime" || {
  rm -rf "$site.partial"
  say 'pip could not install them; see its message above'
  exit 1
}
# Whole or not at all.
rm -rf "$site"
mv "$site.partial" "$site"
: >"$stamp"
say "NVRTC $nvrtc is in $site"
