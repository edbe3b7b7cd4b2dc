#!/bin/bash
# The figures, each as a ratio to a baseline that does the same by hand, both taken in turns in one run:
# `make bench`. Not a test: nothing fails because it is slow.
#
#   scripts/bench.sh [lint] [idle] [push] [rolling] [rollback] [flip] [steps] [engine]      all without names
#
#   PAIRS=10           measurements of each side
#   RUNS=5             of what takes long
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
runs=${RUNS:-5}
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
# shellcheck source=scripts/bench/peers.sh
. "$here/bench/peers.sh"
# shellcheck source=scripts/bench/hosts.sh
. "$here/bench/hosts.sh"
# shellcheck source=scripts/bench/engine.sh
. "$here/bench/engine.sh"
# shellcheck source=scripts/demo/balancer.sh
. "$here/demo/balancer.sh"
# shellcheck source=scripts/bench/traffic.sh
. "$here/bench/traffic.sh"

# Half of the hosts in each set; ssh and Python for the other programs.
host_tags() { case ${1#host-} in *[13579]) echo set=blue ;; *) echo set=green ;; esac; }
host_image() { "$here/host-image.sh" openssh-server python3; }

unset DATABASE_URL PIPEYARD_URL PIPEYARD_TOKEN PIPEYARD_DATA PIPEYARD_LISTEN PIPEYARD_PUBLIC_URL
fleet=
all="lint engine idle push rolling rollback flip steps"
for name in "$@"; do
    case $name in
        lint | engine) ;;
        push | rolling | rollback | idle | flip | steps) fleet=yes ;;
        *) fail "'$name' is not one of: $all" ;;
    esac
done
# shellcheck disable=SC2086 # a list of words
[ $# -gt 0 ] || { fleet=yes && set -- $all; }

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
    "$here/setup.sh" balancer peers | indented
    prepare
    start_fleet
else
    build_programs
fi
machine
for name in "$@"; do "figure_$name"; done
print_figures
