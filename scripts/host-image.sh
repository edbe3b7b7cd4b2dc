#!/bin/sh
# Makes the image of a demo or test host, with or without a registry, and prints its name.
#
#   scripts/host-image.sh [PACKAGE...]      packages make it another image, with these in it as well
#
# A host is a small Debian with what a deployed application needs (busybox: a web server and a client
# in 0.8 MB), what an agent needs (acl), and what a host fetches things with (curl). The agent itself
# is not in it: it is mounted when a host starts, so that a new build of the agent needs no new image.
# Start one with 'docker run --init', so that the agent is not PID 1 and daemons its hooks leave behind
# are reaped.
set -eu
me=host-image
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
# shellcheck source=scripts/lib.sh
. "$here/lib.sh"

# The agent is built on this machine, so the host's C library must not be older than this machine's.
suite_for_glibc() {
    case $1 in
        2.1? | 2.2? | 2.3[0-6]) echo bookworm ;;
        2.3[7-9] | 2.4[01]) echo trixie ;;
        *) echo sid ;;
    esac
}

glibc=$(getconf GNU_LIBC_VERSION | cut -d' ' -f2)
image=pipeyard-host$([ $# = 0 ] || printf -- "-%s" "$@"):$(suite_for_glibc "$glibc")
# The name of the image is the only word on stdout.
"$here/base-image.sh" "$image" acl busybox curl "$@" >&2
echo "$image"
