#!/bin/sh
# setup/packages.sh [build | test | full]: installs the Debian packages that a set needs, and only those that are missing.
#   build  the nnefrun command
#   test   build, and the tests
#   full   test, and what .ci/full wants besides: Clang, a cross compiler and an emulator for 64-bit Arm, numpy
# Runs apt-get as root, or through sudo.
set -eu

build="cmake ninja-build g++ libeigen3-dev libarchive-dev zlib1g-dev libcli11-dev nlohmann-json3-dev"
test="$build catch2 libbenchmark-dev"
full="$test clang-14 g++-aarch64-linux-gnu qemu-user python3-numpy"

case "${1:-build}" in
  build) wanted=$build ;;
  test) wanted=$test ;;
  full) wanted=$full ;;
  *)
    echo "usage: setup/packages.sh [build | test | full]" >&2
    exit 2
    ;;
esac

missing=
for package in $wanted; do
  [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || {
    echo "setup/packages.sh: these packages are missing, and there is neither root nor sudo to install them:$missing" >&2
    exit 1
  }
  as_root=sudo
fi
echo "Installing:$missing"
$as_root apt-get -q update
# shellcheck disable=SC2086 # a list of words
$as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends $missing
