#!/bin/sh
# Runs a command with a throw-away PostgreSQL in PIPEYARD_TEST_DATABASE_URL, and removes it afterwards.
#
#   scripts/with-postgres.sh COMMAND...
#
# Tests that find no such server start their own, one per process: with a runner that gives each test
# a process, a shared one saves a second per test. A server named by the caller is used as it is. Ours
# listens on a socket only and does not wait for the disk: nothing in it is worth keeping.
set -eu
me=with-postgres
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
# shellcheck source=scripts/lib.sh
. "$here/lib.sh"

[ $# -ge 1 ] || fail "usage: with-postgres.sh COMMAND..."
[ -z "${PIPEYARD_TEST_DATABASE_URL:-}" ] || exec "$@"
programs=$(postgres_programs)
[ -n "$programs" ] || fail "no PostgreSQL server programs: run 'make setup'"

# Short, because a socket's path has at most 107 bytes, and outside the checkout, because the server's
# user may not be able to look into it.
work=$(mktemp -d /tmp/pipeyard-pg.XXXXXX)
# initdb and postgres refuse root, so root hands them to the user the package made for them.
owner=$(id -un)
if [ "$(id -u)" = 0 ]; then
    owner=postgres
    id -u postgres >/dev/null 2>&1 || owner=nobody
    chown "$owner" "$work"
fi
as_owner() {
    if [ "$(id -u)" = 0 ]; then
        setpriv --reuid "$owner" --regid "$(id -g "$owner")" --clear-groups \
            env HOME="$work" "$@"
    else
        "$@"
    fi
}

clean_up() {
    as_owner "$programs/pg_ctl" -D "$work/data" -m immediate stop >/dev/null 2>&1 || true
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

cd /
as_owner "$programs/initdb" -D "$work/data" --username=postgres --auth=trust --encoding=UTF8 \
    --locale=C.UTF-8 --no-sync >"$work/log" 2>&1 || fail "initdb failed: $(tail -n 5 "$work/log")"
as_owner "$programs/pg_ctl" -D "$work/data" -w -t 30 -l "$work/data/log" -o "-k $work \
    -c listen_addresses= -c fsync=off -c synchronous_commit=off -c full_page_writes=off \
    -c max_connections=200" start >"$work/log" 2>&1 ||
    fail "PostgreSQL does not start: $(tail -n 5 "$work/data/log" "$work/log")"
cd - >/dev/null

PIPEYARD_TEST_DATABASE_URL="postgres://postgres@$(printf %s "$work" | sed 's,/,%2F,g')/postgres"
export PIPEYARD_TEST_DATABASE_URL
"$@"
