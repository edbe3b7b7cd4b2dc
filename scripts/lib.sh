# shellcheck shell=sh
# What every script here needs. Sourced, never run; the script that sources it sets `me` first.
#
# Works as root and as a user with sudo. Never asks: a sudo that wants a password is an error with a
# remedy, because most callers have nobody at the keyboard.

say() { printf '%s: %s\n' "${me:-pipeyard}" "$*"; }
fail() {
    printf '%s: %s\n' "${me:-pipeyard}" "$*" >&2
    exit 1
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif sudo -n true 2>/dev/null; then
        sudo -n "$@"
    else
        fail "this needs root: run it as root, or allow sudo without a password ($*)"
    fi
}

have() { command -v "$1" >/dev/null 2>&1; }

# wait_until SECONDS COMMAND... polls until the command succeeds; fails when the time is up.
wait_until() {
    wait_deadline=$(($(date +%s) + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$(date +%s)" -lt "$wait_deadline" ] || return 1
        sleep 0.1
    done
}

# The newest PostgreSQL server programs: what the distribution installed, or what is on the PATH.
postgres_programs() {
    newest=$(printf '%s\n' /usr/lib/postgresql/*/bin/initdb | sort -V | tail -n 1)
    if [ -x "$newest" ] && [ -x "${newest%/*}/postgres" ]; then
        echo "${newest%/*}"
    elif have initdb && have postgres; then
        dirname "$(command -v initdb)"
    fi
}

# rustup puts cargo where a fresh shell may not look.
if ! have cargo && [ -x "${CARGO_HOME:-$HOME/.cargo}/bin/cargo" ]; then
    PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
    export PATH
fi
# /usr/sbin (debootstrap, dockerd, ip) is not on every user's PATH.
case ":$PATH:" in
    *:/usr/sbin:*) ;;
    *)
        PATH="$PATH:/usr/sbin:/sbin"
        export PATH
        ;;
esac
