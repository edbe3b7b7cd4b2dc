#!/bin/bash
# Deployments behind a real balancer, under requests that never stop: `make demo-canary`. HAProxy in
# front of six hosts; a canary that is good, one that is not and is caught by the analysis, a
# blue/green switch and back, and a set of new hosts in place of the old one. Ends with a table, and
# exits 0 only if no request failed but those of the bad revision's own share.
#
#   scripts/demo-canary.sh          runs it; KEEP=1 leaves it running, PROFILE=release is faster
#   scripts/demo-canary.sh stop     ends what KEEP=1 or an aborted run left
#
#   CLIENTS=8          how many ask at the same time, about forty times a second each
set -euo pipefail
me="demo-canary"
here=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
keep=${KEEP:-}
profile=${PROFILE:-dev}
host_count=6
clients=${CLIENTS:-8}
work=$root/.demo-canary
# shellcheck source=scripts/lib.sh
. "$here/lib.sh"
# shellcheck source=scripts/demo/report.sh
. "$here/demo/report.sh"
# shellcheck source=scripts/demo/fleet.sh
. "$here/demo/fleet.sh"
# shellcheck source=scripts/demo/story.sh
. "$here/demo/story.sh"
# shellcheck source=scripts/demo/balancer.sh
. "$here/demo/balancer.sh"
# shellcheck source=scripts/demo/traffic.sh
. "$here/demo/traffic.sh"

unset DATABASE_URL PIPEYARD_URL PIPEYARD_TOKEN PIPEYARD_DATA PIPEYARD_LISTEN PIPEYARD_PUBLIC_URL

# Three hosts of each set.
host_tags() { case ${1#host-} in [135]) echo set=blue ;; *) echo set=green ;; esac; }

if [ "${1:-}" = stop ]; then
    remove_instances
    remove_everything
    say "nothing is left of it"
    exit 0
fi
[ $# = 0 ] || fail "usage: demo-canary.sh [stop]"

end() {
    status=$?
    trap - EXIT
    trap '' INT TERM
    rm -f "$work/run/counts"
    if [ "$status" = 0 ] && [ -n "$keep" ]; then exit 0; fi
    save_host_logs
    if [ -n "$keep" ]; then
        say "everything is left running, to look at; 'scripts/demo-canary.sh stop' ends it" >&2
        exit "$status"
    fi
    remove_instances
    if [ "$status" = 0 ]; then remove_everything; else stop_everything; fi
    exit "$status"
}
trap end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

remove_instances
remove_everything
mkdir -p "$work/logs" "$work/run"

"$here/setup.sh" balancer | indented
prepare
start_fleet
start_balancer
build_instance_image
tell_traffic_story
write_env
print_traffic_report
