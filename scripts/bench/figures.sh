# shellcheck shell=bash
# shellcheck disable=SC2154 # bench.sh sets what all parts share
# The figures themselves, and what each is compared with.

image=debian:bookworm-slim

# Memory of what does nothing, and what has to be copied to a host.
figure_idle() {
    local program
    step "idle: memory and size"
    # Nothing has run yet; what starting up needed is given back by now.
    sleep 10
    plain_figure "controller, idle, without PostgreSQL" "$(resident controller)" "at most 40 MB"
    plain_figure "build agent, idle" "$(resident builder)" "at most 12 MB"
    for program in pipeyard-controller pipeyard-agent pipectl; do
        plain_figure "$program, size" "$(du -m "$bin/$program" | cut -f1) MB" "at most 30 MB"
    done
}
resident() {
    awk '/^VmRSS/ { printf "%.1f MB", $2 / 1024 }' "/proc/$(cat "$work/run/$1.pid")/status"
}

# Everything wrong with a heap of files, in one call. The real files when they lie beside the project,
# or where PIPEYARD_CORPUS says; the project's own ones otherwise.
figure_lint() {
    local real=${PIPEYARD_CORPUS:-$root/../shared/corpus}
    if [ -d "$real/buildspec" ]; then
        lint_files=("$real"/buildspec/*.yml "$real"/appspec/*.yml)
    else
        lint_files=("$root"/docs/reference/*.yml "$root"/pipelines/fuzz/seeds/{build,app}spec/*.yml)
    fi
    # Whichever is there; each says less than half of what lint does.
    if have yamllint; then
        lint_by=yamllint lint_base=(yamllint -d relaxed)
    elif python3 -c 'import yaml' 2>/dev/null; then
        lint_by=PyYAML lint_base=(python3 -c 'import sys, yaml
for name in sys.argv[1:]:
    try: yaml.load(open(name), yaml.SafeLoader)
    except Exception: pass')
    else
        lint_by=cat lint_base=(cat)
    fi
    step "lint of ${#lint_files[@]} files, in turns with $lint_by"
    in_turns lint
    ratio_figure lint "lint of ${#lint_files[@]} files, at most 150 ms" "$lint_by of the same files"
}
ours_lint() {
    local before
    before=$(now_ms)
    "$bin/pipectl" lint "${lint_files[@]}" >/dev/null 2>&1 || true
    echo $(($(now_ms) - before))
}
base_lint() {
    local before
    before=$(now_ms)
    "${lint_base[@]}" "${lint_files[@]}" >/dev/null 2>&1 || true
    echo $(($(now_ms) - before))
}

# From the start of `git push` to the first command of the build.
figure_push() {
    step "push to first command, in turns with git clone and docker run"
    repository first first
    in_turns push
    ratio_figure push "push to the build's first command" "git clone && docker run"
    plain_figure "  of it the controller's own share" "$(median <"$work/run/own") ms" \
        "at most 25 ms, from its timestamps"
}
ours_push() {
    local before run
    commit first
    before=$(now_ms)
    git_in first push --quiet origin main >/dev/null 2>&1
    run=$(run_of first)
    own_share "$run" >>"$work/run/own"
    echo $(($(jq -r '[.. | .exported? // empty | .FIRST // empty][0]' <<<"$run") - before))
}
base_push() {
    local before first
    before=$(now_ms)
    git clone --quiet --depth 1 "$work/first" "$work/clone" >/dev/null 2>&1
    first=$(docker run --rm --volume "$work/clone:/src" --workdir /src "$image" date +%s%3N)
    rm -rf "$work/clone"
    echo $((first - before))
}
# What passes between the parts' work: deciding, and handing the task to an agent.
own_share() {
    local created started fetched claimed
    created=$(at_ms "$(jq -r .created_at <<<"$1")")
    started=$(at_ms "$(jq -r '.stages[0].actions[0].started_at' <<<"$1")")
    fetched=$(at_ms "$(jq -r '.stages[0].actions[0].finished_at' <<<"$1")")
    claimed=$(at_ms "$(jq -r '.stages[1].actions[0].tasks[0].claimed_at' <<<"$1")")
    echo $((started - created + claimed - fetched))
}
median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

# A bundle of 10 MB to all hosts, two at a time, with digest, hooks and a health check.
figure_rolling() {
    step "rolling deployment of 10 MB to $host_count hosts, in turns with tar and a loop"
    repository ten app PORT=8081 BYTES=10000000 'HOSTS={tags: {role: web}}'
    in_turns rolling
    ratio_figure rolling "10 MB to $host_count hosts, 2 at a time" "docker exec tar, same hooks"
}
ours_rolling() {
    commit ten
    git_in ten push --quiet origin main >/dev/null 2>&1
    run_of ten >/dev/null
    deployment_ms ten
}
# The newest deployment of a group, from its start to its end.
deployment_ms() {
    local id deployment
    id=$(api "deployments?group=$1&limit=1" | jq -r '.deployments[0].id')
    deployment=$(api "deployments/$id")
    echo $(($(at_ms "$(jq -r .finished_at <<<"$deployment")") - $(at_ms "$(jq -r .started_at <<<"$deployment")")))
}
base_rolling() {
    local before host index=0
    make_bundle
    before=$(now_ms)
    for host in $(host_names); do
        by_hand "$host" &
        index=$((index + 1))
        [ $((index % 2)) = 1 ] || wait
    done
    wait
    echo $(($(now_ms) - before))
}
# The same by a script: copy, check, stop, unpack, start, ask.
make_bundle() {
    [ ! -e "$work/bundle.tar" ] || return 0
    head -c 10000000 /dev/urandom >"$work/payload"
    tar -C "$work" -cf "$work/bundle.tar" payload
}
by_hand() {
    docker exec -i "$(container "$1")" sh -euc '
        mkdir -p /srv/hand
        cd /srv/hand
        cat >bundle.tar
        sha256sum bundle.tar >/dev/null
        start-stop-daemon --stop --oknodo --retry 5 --pidfile /run/hand.pid
        tar -xf bundle.tar
        start-stop-daemon --start --background --make-pidfile --pidfile /run/hand.pid \
            --exec /bin/busybox -- httpd -f -p 8082 -h /srv/hand
        until busybox wget -q -O /dev/null http://127.0.0.1:8082/payload 2>/dev/null; do
            sleep 0.05
        done
    ' <"$work/bundle.tar"
}

# Back to the release before, on three hosts, from what they kept.
figure_rollback() {
    local first
    step "rollback of 3 hosts, in turns with stopping and starting by a loop"
    local each='{tags: {host: host-1}}, {tags: {host: host-2}}, {tags: {host: host-3}}'
    repository three app PORT=8083 BYTES=100000 "HOSTS={selector: {any: [$each]}}"
    commit three
    git_in three push --quiet origin main >/dev/null 2>&1
    run_of three >/dev/null
    first=$(newest_digest)
    commit three
    git_in three push --quiet origin main >/dev/null 2>&1
    run_of three >/dev/null
    # There and back: each of the two revisions is a kept release.
    back_to=("$first" "$(newest_digest)")
    in_turns rollback
    ratio_figure rollback "rollback of 3 hosts, hooks included" "docker exec, same hooks"
}
newest_digest() { api "deployments?group=three&limit=1" | jq -r '.deployments[0].revision.digest'; }
ours_rollback() {
    pipectl rollback three --to "${back_to[$(($1 % 2))]}" >/dev/null 2>&1
    wait_until 60 newest_has_ended || unmet "the rollback ends within 60 s" "it did not"
    deployment_ms three
}
newest_has_ended() {
    api "deployments?group=three&limit=1" | jq -e '.deployments[0].finished_at != null'
}
base_rollback() {
    local before host
    before=$(now_ms)
    for host in host-1 host-2 host-3; do
        docker exec "$(container "$host")" sh -euc '
            /srv/three/hooks/stop.sh
            cp -R /srv/three/www /srv/three/again
            rm -rf /srv/three/again
            /srv/three/hooks/start.sh
            /srv/three/hooks/validate.sh'
    done
    echo $(($(now_ms) - before))
}
