#!/bin/bash
# Puts the tables of `nnefrun ops --markdown` into docs/nnef-support.md, between its two marks; the rest of that file is
# written by hand. A test fails when the tables are not those of the program.
#   docs/update_nnef_support.sh [build/release/bin/nnefrun]
set -eu
cd "$(dirname "$0")/.."
tables=$(mktemp)
trap 'rm -f "$tables"' EXIT
"${1:-build/release/bin/nnefrun}" ops --markdown >"$tables"
sed -i -e '/^<!-- operations: begin/,/^<!-- operations: end/{//!d}' -e "/^<!-- operations: begin/r $tables" docs/nnef-support.md
