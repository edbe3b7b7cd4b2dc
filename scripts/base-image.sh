#!/bin/sh
# Makes sure a Debian base image exists, with or without a registry.
#
#   scripts/base-image.sh IMAGE [PACKAGE...]
#
# Nothing happens when IMAGE is there already. Without packages it is pulled, for a bounded time; when
# that fails, or packages are wanted, it is made with debootstrap from the distribution's own archive.
# The suite is read off the tag (debian:bookworm-slim is bookworm). Works as root, or with sudo.
#
#   PIPEYARD_PULL_SECS      how long a pull may take (20; 0: never pull)
#   PIPEYARD_DEBIAN_MIRROR  where the packages are (where debootstrap looks by itself)
set -eu

say() { printf 'base-image: %s\n' "$*"; }
fail() { printf 'base-image: %s\n' "$*" >&2; exit 1; }

[ $# -ge 1 ] || fail "usage: base-image.sh IMAGE [PACKAGE...]"
image=$1
shift
packages=$(printf '%s\n' "$@" | sort -u | tr '\n' ' ' | sed 's/^ *//; s/ *$//')
pull_secs=${PIPEYARD_PULL_SECS:-20}
mirror=${PIPEYARD_DEBIAN_MIRROR:-}

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

command -v docker >/dev/null || fail "docker is not installed"
if docker info >/dev/null 2>&1; then
    engine() { docker "$@"; }
elif as_root docker info >/dev/null 2>&1; then
    engine() { as_root docker "$@"; }
else
    fail "the Docker engine does not answer: is it running, and may you use it?"
fi

# An image made here says with which packages, so that asking for others makes it again.
if engine image inspect "$image" >/dev/null 2>&1; then
    label='{{index .Config.Labels "pipeyard.base.packages"}}'
    has=$(engine image inspect --format "$label" "$image" 2>/dev/null || true)
    if [ -z "$packages" ] || [ "$has" = "$packages" ]; then
        say "$image is there already"
        exit 0
    fi
    say "$image is there, but not with: $packages"
elif [ -z "$packages" ] && [ "$pull_secs" -gt 0 ]; then
    say "pulling $image (for at most $pull_secs s)"
    if command -v timeout >/dev/null; then bound="timeout $pull_secs"; else bound=; fi
    # The bound is put in front of the program: a shell function cannot be timed.
    if docker info >/dev/null 2>&1; then pull="$bound docker"; else pull="sudo $bound docker"; fi
    if $pull pull --quiet "$image" >/dev/null 2>&1; then
        say "pulled $image"
        exit 0
    fi
    say "no registry answered with $image"
fi

suite=${image##*:}
suite=${suite%-slim}
case $suite in
    bullseye | bookworm | trixie | forky | sid) ;;
    *) suite=bookworm ;;
esac

missing=
command -v debootstrap >/dev/null || missing=debootstrap
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
[ -e "$keyring" ] || missing="$missing debian-archive-keyring"
if [ -n "$missing" ]; then
    command -v apt-get >/dev/null || fail "install $missing first: there is no apt-get here to do it"
    say "installing $missing"
    as_root apt-get update -qq
    # shellcheck disable=SC2086 # a list of words
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        $missing >/dev/null
fi

work=$(mktemp -d "${TMPDIR:-/var/tmp}/base-image.XXXXXX")
clean_up() {
    # debootstrap mounts /proc while it works; an interrupted one leaves it behind.
    as_root umount "$work/root/proc" "$work/root/sys" 2>/dev/null || true
    as_root rm -rf --one-file-system "$work"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

say "making $image with debootstrap ($suite${packages:+, with $packages})"
include=
[ -z "$packages" ] || include=--include=$(printf %s "$packages" | tr ' ' ',')
# shellcheck disable=SC2086 # no word at all when nothing is included
if ! as_root debootstrap --variant=minbase --keyring="$keyring" $include \
    "$suite" "$work/root" ${mirror:+"$mirror"} >"$work/log" 2>&1; then
    tail -n 20 "$work/log" >&2
    fail "debootstrap failed, see above"
fi

# What a container never reads: package caches, manuals, translations, the log of this very work.
as_root sh -euc '
    cd "$1"
    rm -rf var/cache/apt/archives/*.deb var/cache/apt/*.bin var/lib/apt/lists/* var/log/*.log \
        var/log/apt tmp/* usr/share/man/* usr/share/info/*
    find usr/share/doc -type f ! -name copyright -delete
    find usr/share/locale -mindepth 1 -maxdepth 1 ! -name "en*" -exec rm -rf {} +
    rm -f etc/hostname etc/resolv.conf
    # Packages installed in a container later must not start services.
    printf "#!/bin/sh\nexit 101\n" >usr/sbin/policy-rc.d
    chmod 755 . usr/sbin/policy-rc.d
' sh "$work/root"

as_root tar -C "$work/root" --numeric-owner -c . | engine import \
    --change 'CMD ["bash"]' \
    --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
    --change 'LABEL pipeyard.base=debootstrap' \
    --change "LABEL pipeyard.base.packages=\"$packages\"" \
    - "$image" >/dev/null
say "made $image ($(engine image inspect --format '{{.Size}}' "$image" | awk '{print int($1/1e6)}') MB)"
