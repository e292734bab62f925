#!/bin/sh
# Installs what is needed, builds everything and runs all tests.
set -eu
cd "$(dirname "$0")/.."
PATH="/usr/bin:$PATH" # Debian's CMake and Ninja, whatever else comes first
setup/packages.sh test
cmake --preset release -DNNEFRUN_BUILD_TESTS=ON -DNNEFRUN_BUILD_BENCH=ON
cmake --build --preset release --parallel "$(nproc)"
ctest --preset release --parallel "$(nproc)"
[ -d ../shared ] || echo "NOT RUN: the conformance suites of ../shared, which is missing; all other tests were run"
