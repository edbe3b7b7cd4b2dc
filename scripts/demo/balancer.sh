# shellcheck shell=bash
# shellcheck disable=SC2154 # demo-canary.sh sets what all parts share
# HAProxy from the distribution on this machine, the agent beside it, and the image of hosts that a
# deployment makes.

balancer=balancer-$mark
balancer_port=
instance_image=pipeyard-demo-instance-$mark

start_balancer() {
    step "starting HAProxy, and an agent beside it"
    balancer_port=$((port + 1))
    while (exec 3<>"/dev/tcp/127.0.0.1/$balancer_port") 2>/dev/null; do
        balancer_port=$((balancer_port + 1))
    done
    cat >"$work/haproxy.cfg" <<END
global
  stats socket $work/run/haproxy.sock mode 600 level admin expose-fd listeners
defaults
  mode http
  retries 0
  timeout connect 2s
  timeout client 30s
  timeout server 30s
frontend people
  bind 127.0.0.1:$balancer_port
  default_backend shop
backend shop
  balance roundrobin
  option httpchk GET ${balancer_check:-/version.txt}
END
    background haproxy haproxy -W -f "$work/haproxy.cfg"
    background balancer "$bin/pipeyard-agent" run --state-dir "$work/balancer" --url "$url" \
        --join-token "$(join_token deploy 1 --tag role=balancer)" --name "$balancer"
    wait_until 30 balancer_is_there || unmet "an agent beside HAProxy within 30 s" "$(pipectl agents)"
    seen "HAProxy waits for servers" "$(haproxy -v | head -n 1), its agent is connected"
}
balancer_is_there() {
    [ -S "$work/run/haproxy.sock" ] &&
        pipectl agents -o json | jq -e --arg name "$balancer" \
            '.agents[] | select(.name == $name and .alive)' >/dev/null
}

# A host's image with the agent in it, as a provider needs it.
build_instance_image() {
    local directory=$work/instance
    mkdir -p "$directory"
    cp "$bin/pipeyard-agent" "$directory/"
    cat >"$directory/Dockerfile" <<END
FROM $(cat "$work/run/host-image")
COPY pipeyard-agent /usr/local/bin/
ENTRYPOINT ["pipeyard-agent", "run", "--state-dir", "/var/lib/pipeyard-agent"]
END
    docker build --quiet --tag "$instance_image" "$directory" >"$work/logs/instance.log" 2>&1 ||
        unmet "an image of a host with the agent" "$(tail -n 3 "$work/logs/instance.log")"
}

# Hosts that deployments have made here.
instances() {
    docker ps --all --quiet --filter label=pipeyard.instance.group --filter "network=$network"
}
remove_instances() {
    local found
    have docker && docker info >/dev/null 2>&1 || return 0
    found=$(instances 2>/dev/null) || return 0
    # shellcheck disable=SC2086 # a list of ids
    [ -z "$found" ] || docker rm --force --volumes $found >/dev/null
    docker image rm --force "$instance_image" >/dev/null 2>&1 || true
}

# regroup STRATEGY: the group with another strategy.
regroup() {
    cat "$here/demo/canary/group.yml" "$here/demo/canary/$1.yml" |
        sed "s|BALANCER|$balancer|; s|SOCKET|$work/run/haproxy.sock|; s|BUILDER|$builder|
            s|INSTANCE|$instance_image|; s|NETWORK|$network|" >"$shop/group.yml"
    pipectl apply -f "$shop/group.yml" "${@:2}" 2>&1 | indented
}

# The servers that get traffic, with their weights, by HAProxy's own word.
serving() {
    echo 'show stat shop 4 -1' | socat - "UNIX-CONNECT:$work/run/haproxy.sock" |
        awk -F, '$18 ~ /^UP/ && $19 > 0 { print $2 "=" $19 }' | sort -V | paste -sd' '
}
