# shellcheck shell=bash
# shellcheck disable=SC2154 # bench.sh sets what all parts share
# Deployments to real hosts: a new revision, and back to a kept one.

# A bundle of 10 MB to all hosts, two at a time, with digest, hooks and a health check. From the order on a
# command line to its word that all is well, as for everybody else; the revision was built before.
figure_rolling() {
    start_ssh
    step "rolling deployment of 10 MB to $host_count hosts, in turns with others"
    repository ten app PORT=8081 BYTES=10000000 'HOSTS={tags: {role: web}}'
    local cpu_before cpu_after
    in_turns rolling "$runs" ansible mitogen ssh docker
    ratio_figure rolling ansible "10 MB to $host_count hosts, 2 at a time" "Ansible, pipelining, $host_count forks"
    ratio_figure rolling mitogen "  the same" "Ansible with Mitogen"
    ratio_figure rolling ssh "  the same" "ssh and tar, connections kept"
    ratio_figure rolling docker "  the same" "docker exec and tar, no ssh"
    plain_figure "  of it by the controller's own timestamps" "$(median <"$work/run/by-controller") ms" \
        "the rest is pipectl and its connection"
    plain_figure "  CPU of the controller, each time" "$(median <"$work/run/controller-cpu") ms" "at most 1000 ms"
}
ours_rolling() {
    local before cpu took
    build_one ten
    cpu=$(cpu_ms controller)
    before=$(now_ms)
    deploy_built ten
    took=$(($(now_ms) - before))
    echo $(($(cpu_ms controller) - cpu)) >>"$work/run/controller-cpu"
    [ "$1" = 0 ] || deployment_ms ten >>"$work/run/by-controller"
    echo "$took"
}
# build_one NAME: a new revision of it, built and not deployed.
build_one() {
    commit "$1"
    git_in "$1" push --quiet origin main >/dev/null 2>&1
    run_of "$1" >"$work/run/built.json"
}
deploy_built() {
    pipectl deploy "$1" --revision "$(jq -r .id "$work/run/built.json")" --watch >"$work/logs/deploy.log" 2>&1 ||
        unmet "pipectl deploy $1 exits 0" "$(tail -n 5 "$work/logs/deploy.log")"
}
# What a process has used of a core until now, ms.
cpu_ms() {
    awk -v hz="$(getconf CLK_TCK)" '{ sub(/.*\) /, ""); print int(($12 + $13) * 1000 / hz) }' \
        "/proc/$(cat "$work/run/$1.pid")/stat"
}
# The newest deployment of a group, from its start to its end.
deployment_ms() {
    local id deployment
    id=$(api "deployments?group=$1&limit=1" | jq -r '.deployments[0].id')
    deployment=$(api "deployments/$id")
    echo $(($(at_ms "$(jq -r .finished_at <<<"$deployment")") - $(at_ms "$(jq -r .started_at <<<"$deployment")")))
}

# Back to the release before, on all hosts, from what they kept. By hand it is the same hooks and a copy
# of what was kept, on as many hosts at the same time.
figure_rollback() {
    step "rollback of $host_count hosts, in turns with a loop"
    repository back app PORT=8083 BYTES=1000000 'HOSTS={tags: {role: web}}'
    local first
    build_one back
    deploy_built back
    first=$(newest_digest back)
    build_one back
    deploy_built back
    # There and back: each of the two revisions is a kept release.
    back_to=("$first" "$(newest_digest back)")
    in_turns rollback "$pairs" hand
    ratio_figure rollback hand "rollback of $host_count hosts, hooks included" "docker exec, same hooks; at most 1500 ms plus hooks"
    plain_figure "  of it by the controller's own timestamps" "$(median <"$work/run/rollback-by-controller") ms" ""
}
newest_digest() { api "deployments?group=$1&limit=1" | jq -r '.deployments[0].revision.digest'; }
ours_rollback() {
    local before took
    before=$(now_ms)
    pipectl rollback back --to "${back_to[$(($1 % 2))]}" --watch >"$work/logs/rollback.log" 2>&1 ||
        unmet "pipectl rollback back exits 0" "$(tail -n 5 "$work/logs/rollback.log")"
    took=$(($(now_ms) - before))
    [ "$1" = 0 ] || deployment_ms back >>"$work/run/rollback-by-controller"
    echo "$took"
}
hand_rollback() {
    local before host index=0
    before=$(now_ms)
    for host in $(host_names); do
        docker exec "$(container "$host")" sh -euc '
            /srv/back/hooks/stop.sh
            cp -R /srv/back/www /srv/back/again
            rm -rf /srv/back/again
            /srv/back/hooks/start.sh
            /srv/back/hooks/validate.sh' &
        index=$((index + 1))
        [ $((index % 2)) = 1 ] || wait
    done
    wait
    echo $(($(now_ms) - before))
}
