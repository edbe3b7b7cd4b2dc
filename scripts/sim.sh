#!/bin/sh
# The deployment engine against a virtual fleet that fails, and engines broken on purpose against the
# checks. `make sim SEEDS=20000`.
set -eu
me="sim"
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
# shellcheck source=scripts/lib.sh
. "$here/lib.sh"
cd "$here/.."

case ${SEEDS:=20000} in
    *[!0-9]* | '') fail "SEEDS is a number, not '$SEEDS'" ;;
esac
say "$SEEDS seeds"
# The whole workspace's features, so that nothing is compiled a second time for this.
PIPEYARD_SIM_SEEDS=$SEEDS cargo test --workspace --locked --lib sim::
