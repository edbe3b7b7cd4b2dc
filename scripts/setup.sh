#!/bin/sh
# Installs what Pipeyard's demo and tests need on Debian or Ubuntu, and starts the Docker engine.
#
#   scripts/setup.sh [rust] [tools] [git] [postgres] [docker] [balancer] [browser] [lint] [peers]
#
# Without names: everything but the browser, what only 'make check' needs, and the programs that 'make bench' measures
# itself with. What is there already is left alone; when all of it is, nothing happens, quickly. Works as root or with sudo, and never asks.
set -eu
me=setup
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
# shellcheck source=scripts/lib.sh
. "$here/lib.sh"

docker_log=/var/log/pipeyard-dockerd.log
docker_wait_secs=60
# Debian asks this program whether an installed service may start.
no_start=/usr/sbin/policy-rc.d
mitogen=/usr/lib/python3/dist-packages/ansible_mitogen/plugins/strategy/mitogen_linear.py

# Package names that are missing, one per line of the answer.
missing_for() {
    case $1 in
        rust) ;;
        tools)
            have curl || echo curl ca-certificates
            have gcc || echo gcc libc6-dev
            have pkg-config || echo pkg-config
            have make || echo make
            have debootstrap || echo debootstrap
            have ip || echo iproute2
            have setfacl || echo acl
            have jq || echo jq
            ;;
        git) have git || echo git ;;
        postgres) [ -n "$(postgres_programs)" ] || echo postgresql ;;
        docker)
            # A client with an engine elsewhere (DOCKER_HOST) is as good as an engine here.
            { have docker && have dockerd; } || docker_answers || echo docker.io
            ;;
        balancer)
            have_server haproxy || echo haproxy
            have_server nginx || echo nginx
            have socat || echo socat
            ;;
        browser)
            have chromium || have chromium-browser || have google-chrome || echo chromium
            ;;
        lint) have shellcheck || echo shellcheck ;;
        peers)
            have ssh || echo openssh-client
            have ansible-playbook || echo ansible-core
            [ -e "$mitogen" ] || echo ansible-mitogen
            ;;
        *) fail "'$1' is not one of: rust tools git postgres docker balancer browser lint peers" ;;
    esac
}

# Programs of servers lie where not everybody's path leads.
have_server() { have "$1" || [ -x "/usr/sbin/$1" ]; }

apt_knows() { apt-cache show "$1" 2>/dev/null | grep -q '^Package:'; }

install() {
    have apt-get || fail "install these first, there is no apt-get here to do it: $*"
    say "installing $*"
    log=$(mktemp)
    # The server programs are wanted, not a server: without this file, installing them would create
    # a cluster and start it. It goes away again, so later installations are not affected.
    no_cluster=/etc/postgresql-common/createcluster.d/pipeyard.conf
    as_root mkdir -p "${no_cluster%/*}"
    echo 'create_main_cluster = off' | as_root tee "$no_cluster" >/dev/null
    # The same for balancers: nobody asked for one on port 80.
    policy=
    if [ ! -e "$no_start" ]; then
        policy=$no_start
        printf '#!/bin/sh\ncase "$*" in *haproxy*|*nginx*) exit 101 ;; esac\n' |
            as_root tee "$policy" >/dev/null
        as_root chmod 755 "$policy"
    fi
    installed=yes
    apt "$@" >"$log" 2>&1 </dev/null || installed=no
    as_root rm -f "$no_cluster" ${policy:+"$policy"}
    if [ "$installed" = no ]; then
        tail -n 20 "$log" >&2
        fail "apt-get could not install $*; its last words are above, all of them in $log"
    fi
    rm -f "$log"
}

apt() {
    as_root apt-get update -qq || return 1
    # Newer releases keep the Docker client in a package of its own.
    case " $* " in
        *" docker.io "*) ! apt_knows docker-cli || set -- "$@" docker-cli ;;
    esac
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "$@"
}

docker_answers() { docker info >/dev/null 2>&1; }
# In a subshell: without sudo this answers no instead of ending the script.
docker_answers_root() { (as_root docker info) >/dev/null 2>&1; }

# It answers, or the engine we started has given up.
docker_settled() {
    docker_answers_root || { [ -n "${docker_pid:-}" ] && [ ! -d "/proc/$docker_pid" ]; }
}

start_docker() {
    if docker_answers; then return; fi
    if ! docker_answers_root; then
        say "starting the Docker engine"
        if [ -d /run/systemd/system ]; then
            as_root systemctl start docker
        else
            # No init system: the engine runs by itself, and outlives this script.
            docker_pid=$(as_root sh -c "setsid dockerd >>$docker_log 2>&1 </dev/null & echo \$!")
        fi
        wait_until "$docker_wait_secs" docker_settled || true
        if ! docker_answers_root; then
            [ ! -r "$docker_log" ] || as_root tail -n 15 "$docker_log" >&2
            fail "the Docker engine does not start; its log is $docker_log, or 'journalctl -u docker'"
        fi
    fi
    docker_answers || let_user_in
}

# The group counts from the next login on; the access list makes it true now.
let_user_in() {
    user=$(id -un)
    say "letting $user use the Docker engine (group docker)"
    as_root usermod -aG docker "$user"
    as_root setfacl -m "u:$user:rw" /var/run/docker.sock
    docker_answers || fail "$user still cannot use Docker: log in again and repeat"
}

check_rust() {
    have cargo || fail "no Rust toolchain: install one (https://rustup.rs) and repeat"
    wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$here/../Cargo.toml")
    found=$(rustc --version | cut -d' ' -f2)
    oldest=$(printf '%s\n%s\n' "$wanted" "${found%%-*}" | sort -V | head -n 1)
    [ "$oldest" = "$wanted" ] ||
        fail "Rust $found is too old, $wanted or newer is needed: 'rustup update stable'"
}

[ $# -gt 0 ] || set -- rust tools git postgres docker balancer
packages=
for part in "$@"; do
    # A subshell's failure must end this script too, so it is not inside a longer command.
    missing=$(missing_for "$part")
    packages="$packages $missing"
done
# shellcheck disable=SC2086 # a list of words
set -- "$@" -- $packages
parts=
while [ "$1" != -- ]; do
    parts="$parts $1"
    shift
done
shift
[ $# = 0 ] || install "$@"
for part in $parts; do
    case $part in
        rust) check_rust ;;
        docker) start_docker ;;
        *) ;;
    esac
done
