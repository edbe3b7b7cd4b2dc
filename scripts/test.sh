#!/bin/sh
# Every test there is: sets up and starts what they need, then runs them. `make test`.
#
#   scripts/test.sh [FILTER...]      arguments go to the test runner
set -eu
me="test"
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
# shellcheck source=scripts/lib.sh
. "$here/lib.sh"
cd "$here/.."

"$here/setup.sh"
# Stories build in this image and deploy to hosts made of the other one.
"$here/base-image.sh" debian:bookworm-slim
PIPEYARD_HOST_IMAGE=$("$here/host-image.sh")
export PIPEYARD_HOST_IMAGE
# As many simulated deployments as `make sim` plays.
export PIPEYARD_SIM_SEEDS="${PIPEYARD_SIM_SEEDS:-20000}"
# A database the caller works with is not for tests.
unset DATABASE_URL

# Always the whole workspace: a single package has other features, and rebuilds its dependencies.
# The stories start the real programs, so these are built first.
cargo build --workspace --locked
if have cargo-nextest; then
    "$here/with-postgres.sh" cargo nextest run --workspace --locked "$@"
    # The one kind of test nextest does not run.
    [ $# -gt 0 ] || cargo test --workspace --locked --doc --quiet
else
    "$here/with-postgres.sh" cargo test --workspace --locked "$@"
fi
