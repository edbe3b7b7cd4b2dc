#!/bin/sh
# Format, lints, and the rules no compiler knows (tests/tidy.rs). `make check`.
set -eu
me=check
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
# shellcheck source=scripts/lib.sh
. "$here/lib.sh"
cd "$here/.."

"$here/setup.sh" rust tools
cargo fmt --all --check
cargo clippy --workspace --all-targets --locked -- -D warnings
cargo test --workspace --locked --quiet --test tidy
