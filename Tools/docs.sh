#!/bin/sh
# The documentation of the public API in .build/docs, made offline with what the toolchain ships.
#
# One DocC archive for each module with public declarations, merged under one page.
set -eu
cd "$(dirname "$0")/.."
# shellcheck source=Tools/toolchain.sh
. Tools/toolchain.sh
find_toolchain
[ -x "$toolchain/docc" ] || refuse 'this Swift toolchain has no docc; install one from https://www.swift.org/install/linux'

swift build -c release --target Filigree
swift build -c release --product filigree
triple=$(printf '%s\n' "$target_info" | sed -n 's/.*"triple": "\(.*\)".*/\1/p')
output=.build/docs
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/archives"

# In the order in which they import each other, so that links across modules resolve.
links=
for module in Arrays Records Devices Structures Model Checkpoints Training Measuring Reporting Filigree; do
  grep -rqE '^ *(public|open) ' "Sources/$module" || continue
  symbols=$work/$module
  mkdir "$symbols"
  "$toolchain/swift-symbolgraph-extract" -module-name "$module" -target "$triple" -I .build/release/Modules \
    -I Sources/CKernels/include -minimum-access-level public -skip-synthesized-members -output-dir "$symbols"
  # shellcheck disable=SC2086 # a list of words
  "$toolchain/docc" convert --additional-symbol-graph-dir "$symbols" --output-path "$work/archives/$module.doccarchive" \
    --fallback-display-name "$module" --fallback-bundle-identifier "filigree.$module" \
    --fallback-default-module-kind Module --enable-experimental-external-link-support $links
  links="$links --dependency $work/archives/$module.doccarchive"
done

rm -rf "$output"
"$toolchain/docc" merge "$work"/archives/*.doccarchive --synthesized-landing-page-name Filigree --output-path "$output"
echo "The documentation is in $output. A browser needs a server for it, such as:"
echo "  python3 -m http.server --directory $output 8000, then http://localhost:8000/documentation"
