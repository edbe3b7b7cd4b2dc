#!/bin/bash
# The whole product once, on real parts: `make demo`. Ends with a table of what was seen, and exits 0
# only if all of it was.
#
#   scripts/demo.sh          runs the story
#   scripts/demo.sh stop     ends what KEEP=1 or an aborted run left, and leaves nothing behind
#
#   KEEP=1             leaves everything running; .demo/env then says how to reach it
#   PROFILE=release    builds with optimisations. The default is dev: on two cores a fresh clone is
#                      then ready in a third of the time, `make test` uses the same build, and what
#                      the story waits for (Docker, git, the hooks) is not in our programs.
#   HOSTS=3            how many hosts
set -euo pipefail
me="demo"
here=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
keep=${KEEP:-}
profile=${PROFILE:-dev}
host_count=${HOSTS:-3}
work=$root/.demo
# shellcheck source=scripts/lib.sh
. "$here/lib.sh"
# shellcheck source=scripts/demo/report.sh
. "$here/demo/report.sh"
# shellcheck source=scripts/demo/fleet.sh
. "$here/demo/fleet.sh"
# shellcheck source=scripts/demo/story.sh
. "$here/demo/story.sh"

# Settings of somebody's own installation must not leak into the demo.
unset DATABASE_URL PIPEYARD_URL PIPEYARD_TOKEN PIPEYARD_DATA PIPEYARD_LISTEN PIPEYARD_PUBLIC_URL

if [ "${1:-}" = stop ]; then
    stop_everything
    rm -rf "$work"
    say "nothing is left of it"
    exit 0
fi
[ $# = 0 ] || fail "usage: demo.sh [stop]"

# Whatever happens, nothing keeps running that was not asked to; logs stay when something went wrong.
end() {
    status=$?
    # A second Ctrl-C must not leave half of it behind.
    trap - EXIT
    trap '' INT TERM
    stop_process poller
    if [ "$status" = 0 ] && [ -n "$keep" ]; then exit 0; fi
    save_host_logs
    if [ -n "$keep" ]; then
        say "everything is left running, to look at; 'make demo-stop' ends it" >&2
        exit "$status"
    fi
    stop_everything
    [ "$status" != 0 ] || rm -rf "$work"
    exit "$status"
}
trap end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

stop_everything
rm -rf "$work"
mkdir -p "$work/logs" "$work/run"

prepare
start_fleet
tell_story
write_env
print_report
