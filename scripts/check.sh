#!/bin/sh
# Format, lints, and the rules no compiler knows (tests/tidy.rs). `make check`.
set -eu
me=check
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
# shellcheck source=scripts/lib.sh
. "$here/lib.sh"
cd "$here/.."

"$here/setup.sh" rust tools lint
# What other people's hosts run as root.
shellcheck web/src/install/install.sh agent/src/host/pipeyard-agent.init
cargo fmt --all --check
cargo clippy --workspace --all-targets --locked -- -D warnings
# The fuzz targets are no part of the workspace; without libFuzzer they are ordinary programs.
cargo fmt --manifest-path pipelines/fuzz/Cargo.toml --check
CARGO_TARGET_DIR=target/fuzz cargo clippy --manifest-path pipelines/fuzz/Cargo.toml --locked -- -D warnings
cargo test --workspace --locked --quiet --test tidy
