#!/bin/bash
# The figures, each as a ratio to a baseline that does the same by hand, both taken in turns in one run:
# `make bench`. Not a test: nothing fails because it is slow.
#
#   scripts/bench.sh [lint] [idle] [push] [rolling] [rollback]      all of them without names
#
#   PAIRS=10           measurements of each side
#   PROFILE=release    what is built
#   HOSTS=10           hosts of the rolling deployment
set -euo pipefail
me="bench"
here=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
keep=
profile=${PROFILE:-release}
host_count=${HOSTS:-10}
pairs=${PAIRS:-10}
work=$root/.bench
# shellcheck source=scripts/lib.sh
. "$here/lib.sh"
# shellcheck source=scripts/demo/report.sh
. "$here/demo/report.sh"
# shellcheck source=scripts/demo/fleet.sh
. "$here/demo/fleet.sh"
# shellcheck source=scripts/bench/measure.sh
. "$here/bench/measure.sh"
# shellcheck source=scripts/bench/figures.sh
. "$here/bench/figures.sh"

unset DATABASE_URL PIPEYARD_URL PIPEYARD_TOKEN PIPEYARD_DATA PIPEYARD_LISTEN PIPEYARD_PUBLIC_URL
fleet=
for name in "$@"; do
    case $name in
        lint) ;;
        push | rolling | rollback | idle) fleet=yes ;;
        *) fail "'$name' is not one of: lint idle push rolling rollback" ;;
    esac
done
[ $# -gt 0 ] || { fleet=yes && set -- lint idle push rolling rollback; }

end() {
    status=$?
    # A second Ctrl-C must not leave half of it behind.
    trap - EXIT
    trap '' INT TERM
    [ "$status" = 0 ] || save_host_logs
    stop_everything
    [ "$status" != 0 ] || find "$work" -mindepth 1 -maxdepth 1 ! -name 'pairs-*' -exec rm -rf {} +
    exit "$status"
}
trap end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

remove_everything
mkdir -p "$work/logs" "$work/run"
# A figure of one program needs no hosts.
if [ -n "$fleet" ]; then
    prepare
    start_fleet
else
    build_programs
fi
machine
for name in "$@"; do "figure_$name"; done
print_figures
