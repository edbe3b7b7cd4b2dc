#!/bin/sh
# Makes this host an agent of the Pipeyard controller it was fetched from, or brings the agent that is
# here up to date.
#
#   PIPEYARD_JOIN_TOKEN=pyj1.… sh install.sh [OPTION...]    options of 'pipeyard-agent install'
#   sh install.sh --pipectl                                 only pipectl, for people
#   sh install.sh --uninstall [--force]                     removes the agent and all it made
#
# Needs root, sha256sum, and curl or wget. The token comes from the environment: everybody on a host can
# read the arguments of its programs.
set -eu
umask 022

# The controller fills these in: its address, its certificate authority (empty: one that the system
# knows), and the digests of its programs. None of it is secret.
url='@URL@'
ca='@CA@'
sums='@SUMS@'

bin=/usr/local/bin

say() { printf 'pipeyard: %s\n' "$*"; }
fail() {
    printf 'pipeyard: %s\n' "$*" >&2
    exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }

# fetch ADDRESS FILE
fetch() {
    ca_file=
    if [ -n "$ca" ]; then
        ca_file=$work/ca.pem
        printf '%s\n' "$ca" >"$ca_file"
    fi
    if have curl; then
        curl -fsS --retry 3 ${ca_file:+--cacert "$ca_file"} -o "$2" "$1"
    elif have wget; then
        wget -q ${ca_file:+"--ca-certificate=$ca_file"} -O "$2" "$1"
    else
        fail "there is neither curl nor wget: install one of them and repeat"
    fi
}

# get PROGRAM: brings it to $work/PROGRAM, proved and able to run here.
get() {
    [ "$(uname -s)" = Linux ] || fail "agents run on Linux, and this is $(uname -s)"
    name=$1-linux-$(uname -m)
    sum=$(printf '%s\n' "$sums" | sed -n "s/^\([0-9a-f]\{64\}\)  $name\$/\1/p")
    [ -n "$sum" ] || fail "the controller has no $name: put it beside pipeyard-controller there, or \
into a directory named with --programs, and repeat"
    fetch "$url/install/$name" "$work/$1" || fail "cannot fetch $url/install/$name"
    printf '%s  %s\n' "$sum" "$work/$1" | sha256sum -c - >/dev/null 2>&1 ||
        fail "$name is not what the controller announced, so nothing was installed. If the controller \
was upgraded just now, repeat; otherwise somebody changed it on its way"
    chmod 755 "$work/$1"
    "$work/$1" --version >"$work/version" 2>&1 ||
        fail "$name does not run here: $(head -n 1 "$work/version")"
}

main() {
    [ "$(id -u)" = 0 ] || fail "this needs root: repeat it as root, or with sudo"
    case ${1-} in
        --uninstall)
            shift
            [ -x "$bin/pipeyard-agent" ] || fail "there is no $bin/pipeyard-agent to uninstall"
            "$bin/pipeyard-agent" uninstall "$@"
            return
            ;;
        --pipectl) wanted=pipectl ;;
        *) wanted=pipeyard-agent ;;
    esac
    mkdir -p "$bin"
    # Beside its place: /tmp may forbid running what is in it, and moving is atomic here.
    work=$(mktemp -d "$bin/.pipeyard.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    get "$wanted"
    if [ "$wanted" = pipectl ]; then
        mv -f "$work/pipectl" "$bin/pipectl"
        say "$bin/pipectl is $(cat "$work/version"); sign in with: pipectl login $url"
    else
        PIPEYARD_URL=${PIPEYARD_URL:-$url} "$work/pipeyard-agent" install "$@"
    fi
}

# Called last, so that a script that arrived in part does nothing.
main "$@"
