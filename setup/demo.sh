#!/bin/sh
# Installs what is needed, builds nnefrun and lets it recognise a spoken word.
set -eu
cd "$(dirname "$0")/.."
PATH="/usr/bin:$PATH" # Debian's CMake and Ninja, whatever else comes first
setup/packages.sh build
cmake --preset release -DNNEFRUN_BUILD_TESTS=OFF -DNNEFRUN_BUILD_BENCH=OFF
cmake --build --preset release --parallel "$(nproc)" --target nnefrun

example=examples/keyword_spotter
set -x
build/release/bin/nnefrun $example/model.nnef.tgz --input $example/yes.npy --top 3 --labels $example/labels.txt
