# shellcheck shell=bash
# shellcheck disable=SC2154 # demo.sh sets what all parts share
# The demo's stage: programs, images, a controller, a build agent, hosts; and taking it all away.
#
# Everything that is not below $work carries its mark, so that two checkouts, or a demo and a bench, can
# run side by side and each removes only its own.

mark=$(printf %s "$work" | sha256sum | cut -c1-8)
network=pipeyard-demo-$mark
# A build agent knows its containers by its name, so two on one engine must not share it.
builder=builder-$mark
port_first=8470
host_wait_secs=60

bin=
# What compiles in the background; the shell keeps Ctrl-C from it, so the end has to end it.
building=
# The address agents use, and the one this machine uses: plain HTTP is answered on the loopback only.
url=
local_url=
admin_user=
admin_password=
token=
port=
data=

container() { echo "pipeyard-demo-$mark-$1"; }
host_names() { seq -f 'host-%g' 1 "$host_count"; }
host_address() {
    docker inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' "$(container "$1")"
}
host_url() { echo "http://$(host_address "$1"):8080/"; }
# What a host answers now; empty when nothing does.
answer() { curl -sf --noproxy '*' --max-time 2 "$(host_url "$1")" | head -n 1 || true; }
on_host() { docker exec "$(container "$1")" "${@:2}"; }

# A bench has other programs on its hosts.
host_image() { "$here/host-image.sh"; }

prepare() {
    step "installing what is missing"
    "$here/setup.sh" | indented
    seen "Docker, PostgreSQL, git and gcc are there" "setup.sh found or installed each"

    step "building the programs ($profile) and, beside it, the images"
    # Neither needs the other, and one waits for the network while the other computes.
    ("$here/base-image.sh" debian:bookworm-slim && host_image >"$work/run/host-image") \
        >"$work/logs/images.log" 2>&1 &
    local images=$!
    building=$images
    build_programs
    wait "$images" || unmet "images made or pulled" "$(tail -n 3 "$work/logs/images.log")"
    building=
    seen "programs and images built" "$(programs_version), $(cat "$work/run/host-image")"
}

build_programs() {
    local release=()
    [ "$profile" = dev ] || release=(--profile "$profile")
    # Always the whole workspace: a single package has other features, and rebuilds its dependencies.
    cargo build --workspace --locked "${release[@]}" --manifest-path "$root/Cargo.toml" \
        >"$work/logs/build.log" 2>&1 &
    local cargo=$!
    building="$building $cargo"
    # The first time takes minutes; silence would look like a fault.
    until wait_until 20 is_gone "$cargo"; do
        printf '%s   %s crates compiled\n' "$(clock)" "$(grep -c Compiling "$work/logs/build.log")"
    done
    wait "$cargo" || unmet "the workspace builds" "$(grep -m 3 '^error' "$work/logs/build.log")"
    local target directory=$profile
    target=$(cargo metadata --no-deps --offline --format-version 1 \
        --manifest-path "$root/Cargo.toml" | jq -r .target_directory)
    [ "$profile" != dev ] || directory=debug
    # Copies: a build during a kept demo must not change what runs, and hosts see nothing else.
    bin=$work/bin
    mkdir -p "$bin"
    cp "$target/$directory"/{pipeyard-controller,pipeyard-agent,pipectl,pipeyard-load,pipeyard-swarm,pipeyard-engine} "$bin/"
    PATH="$bin:$PATH"
}
programs_version() { "$bin/pipectl" --version; }

start_fleet() {
    step "starting a controller with its own PostgreSQL"
    # What follows talks to this machine only.
    export NO_PROXY='*' no_proxy='*'
    docker network create --label "pipeyard.demo=$mark" "$network" >/dev/null
    start_controller
    curl -sf "$local_url/sign-in" >/dev/null || unmet "the dashboard asks to sign in" "it does not"
    seen "the controller is ready" "GET $local_url/readyz and /sign-in: 200"

    step "signing in; joining a build agent and $host_count hosts"
    sign_in
    start_builder
    start_hosts
    wait_for_agents
    seen "agents are connected" "pipectl agents: 1 build, $host_count deploy"
}

start_controller() {
    local gateway
    gateway=$(docker network inspect -f '{{(index .IPAM.Config 0).Gateway}}' "$network")
    port=$(free_port)
    url=https://$gateway:$port
    local_url=http://127.0.0.1:$port
    data=$(data_directory)
    background controller "$bin/pipeyard-controller" run --data "$data" \
        --listen "0.0.0.0:$port" --public-url "$url"
    wait_until 60 controller_is_ready || unmet "$local_url/readyz answers 200 within 60 s" \
        "$(tail -n 3 "$work/logs/controller.log")"
}
controller_is_ready() {
    is_running controller || unmet "the controller runs" "$(tail -n 3 "$work/logs/controller.log")"
    curl -sf --max-time 2 "$local_url/readyz"
}

free_port() {
    local candidate=$port_first
    while (exec 3<>"/dev/tcp/127.0.0.1/$candidate") 2>/dev/null; do
        candidate=$((candidate + 1))
    done
    echo "$candidate"
}

# Run by root, the private PostgreSQL runs as another user, who may not be able to look into a
# checkout below /root.
data_directory() {
    local inside=$work/controller
    mkdir -p "$inside"
    if [ "$(id -u)" != 0 ] || setpriv --reuid nobody --clear-groups test -x "$inside"; then
        echo "$inside"
        return
    fi
    mktemp -d /var/tmp/pipeyard-demo.XXXXXX | tee "$work/run/elsewhere"
    chmod 711 "$(cat "$work/run/elsewhere")"
}

sign_in() {
    admin_user=$(sed -n 's/^user: //p' "$data/first-admin")
    admin_password=$(sed -n 's/^password: //p' "$data/first-admin")
    # pipectl keeps its login in the demo's own place, not in the user's.
    export XDG_CONFIG_HOME=$work/config NO_COLOR=1
    printf '%s\n' "$admin_password" |
        pipectl login "$local_url" --user "$admin_user" --password-stdin 2>&1 | indented
    # What the demo's git and other programs use; pipectl has its own from the login.
    token=$(jq -n --arg user "$admin_user" --arg password "$admin_password" \
        '{user: $user, password: $password, name: "demo"}' |
        curl -sf --json @- "$local_url/api/v1/login" | jq -r .token)
}

# join_token ROLE [TAG...]: a token for as many agents as will use it here.
join_token() {
    pipectl join-token create --role "$1" --uses "$2" "${@:3}" -o json | jq -r .token
}

start_builder() {
    background builder "$bin/pipeyard-agent" run --state-dir "$work/builder" --url "$url" \
        --join-token "$(join_token build 1)" --name "$builder"
}

# A demo of its own may say something else.
host_tags() { echo "host=$1"; }

start_hosts() {
    local token host image
    image=$(cat "$work/run/host-image")
    token=$(join_token deploy "$host_count" --tag role=web --tag env=demo)
    for host in $(host_names); do
        docker run --detach --init --label "pipeyard.demo=$mark" --name "$(container "$host")" \
            --hostname "$host" --network "$network" \
            --volume "$bin/pipeyard-agent:/usr/local/bin/pipeyard-agent:ro" \
            "$image" pipeyard-agent run --state-dir /var/lib/pipeyard-agent \
            --url "$url" --join-token "$token" --name "$host" --tag "$(host_tags "$host")" >/dev/null
    done
}

wait_for_agents() {
    wait_until "$host_wait_secs" all_agents_are_here ||
        unmet "$((host_count + 1)) connected agents within $host_wait_secs s" "$(pipectl agents)"
}
all_agents_are_here() {
    [ "$(pipectl agents -o json | jq '[.agents[] | select(.alive)] | length')" = $((host_count + 1)) ]
}

# background NAME COMMAND...: in a session of its own, with a log and a pid file.
background() {
    setsid "${@:2}" >>"$work/logs/$1.log" 2>&1 </dev/null &
    echo $! >"$work/run/$1.pid"
}
is_running() { kill -0 "$(cat "$work/run/$1.pid")" 2>/dev/null; }

# Logs of containers go with them.
save_host_logs() {
    local host
    have docker || return 0
    for host in $(host_names); do
        docker container inspect "$(container "$host")" >/dev/null 2>&1 || continue
        docker logs "$(container "$host")" >"$work/logs/$host.log" 2>&1 || true
    done
}

# Ends processes, containers and the network of this checkout's demo, in an order that lets nothing
# start anew. Nothing of it may be there, or only half.
stop_everything() {
    local file
    # shellcheck disable=SC2086 # a list of processes
    [ -z "$building" ] || kill $building 2>/dev/null || true
    for file in "$work"/run/*.pid; do
        [ ! -e "$file" ] || stop_process "$(basename "$file" .pid)"
    done
    remove_containers
    if [ -e "$work/run/elsewhere" ]; then rm -rf "$(cat "$work/run/elsewhere")"; fi
}

# Ends it and takes its directory away. A build that was cut off may have left files of the container's
# root in it.
remove_everything() {
    stop_everything
    rm -rf "$work" 2>/dev/null || as_root rm -rf "$work"
}

# stop_process NAME: ends what `background` started, if it runs.
stop_process() {
    local pid
    pid=$(cat "$work/run/$1.pid" 2>/dev/null) || return 0
    # The number may be somebody else's by now.
    if { tr '\0' ' ' <"/proc/$pid/cmdline"; } 2>/dev/null | grep -q "$work"; then
        kill "$pid" 2>/dev/null || true
        wait_until 10 is_gone "$pid" || kill -9 "$pid" 2>/dev/null || true
    fi
    rm -f "$work/run/$1.pid"
}
is_gone() { [ ! -e "/proc/$1/cmdline" ] || [ -z "$(tr '\0' ' ' <"/proc/$1/cmdline")" ]; }

remove_containers() {
    local found
    have docker && docker info >/dev/null 2>&1 || return 0
    # The hosts, and a build that was running when its agent was told to end.
    found=$(
        docker ps --all --quiet --filter "label=pipeyard.demo=$mark"
        docker ps --all --quiet --filter "label=pipeyard.agent=$builder"
    )
    # shellcheck disable=SC2086 # a list of ids
    [ -z "$found" ] || docker rm --force --volumes $found >/dev/null
    found=$(docker network ls --quiet --filter "label=pipeyard.demo=$mark")
    # shellcheck disable=SC2086 # a list of ids
    [ -z "$found" ] || docker network rm $found >/dev/null
}

# What other programs read while a kept demo runs.
write_env() {
    local host pairs=
    for host in $(host_names); do pairs="$pairs $host=http://$(host_address "$host"):8080"; done
    (
        umask 077
        {
            printf "PIPEYARD_URL='%s'\n" "$local_url"
            printf "PIPEYARD_TOKEN='%s'\n" "$token"
            printf "PIPEYARD_GIT='%s'\n" "$git_url"
            printf "PIPEYARD_HOSTS='%s'\n" "${pairs# }"
        } >"$work/env"
    )
}
