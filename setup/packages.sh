#!/bin/sh
# setup/packages.sh [build | test | full]: installs the Debian packages that a set needs, and only those that are missing.
#   build  the nnefrun command
#   test   build, and the tests
#   full   test, and what .ci/full wants besides: Clang, numpy, and for 64-bit Arm a cross compiler, an emulator and zlib (the
#          one package of a foreign architecture, which dpkg is told about; the other libraries are headers)
# Runs apt-get as root, or through sudo.
set -eu

build="cmake ninja-build g++ libeigen3-dev libarchive-dev zlib1g-dev libtbb-dev libcli11-dev nlohmann-json3-dev"
test="$build catch2 libbenchmark-dev"
full="$test clang-14 g++-aarch64-linux-gnu qemu-user python3-numpy zlib1g-dev:arm64"

case "${1:-build}" in
  build) wanted=$build ;;
  test) wanted=$test ;;
  full) wanted=$full ;;
  *)
    echo "usage: setup/packages.sh [build | test | full]" >&2
    exit 2
    ;;
esac

# is_installed NAME[:ARCHITECTURE]: without one, this machine's.
is_installed() {
  case "$1" in
    *:*) architecture=${1#*:} ;;
    *) architecture=$(dpkg --print-architecture) ;;
  esac
  dpkg-query -W -f='${db:Status-Status} ${Architecture}\n' "$1" 2>/dev/null | grep -qxE "installed ($architecture|all)"
}

missing=
for package in $wanted; do
  is_installed "$package" || missing="$missing $package"
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
case "$missing" in
  *:arm64*) dpkg --print-foreign-architectures | grep -qx arm64 || $as_root dpkg --add-architecture arm64 ;;
esac
echo "Installing:$missing"
$as_root apt-get -q update
# shellcheck disable=SC2086 # a list of words
$as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends $missing
