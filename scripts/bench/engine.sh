# shellcheck shell=bash
# shellcheck disable=SC2154 # bench.sh sets what all parts share
# Orchestration without hosts: what the controller adds, and the engine alone.

swarm_hosts=100
swarm_batch=10

# Agents that do their work in no time: what is left is deciding, the database and the way there and back.
figure_steps() {
    local steps=$((swarm_hosts / swarm_batch)) took
    step "rolling deployments to $swarm_hosts hosts that have nothing to do"
    background swarm "$bin/pipeyard-swarm" "$local_url" \
        "$(join_token deploy "$swarm_hosts" --tag role=swarm)" "$swarm_hosts"
    wait_until 60 swarm_is_here || unmet "$swarm_hosts simulated agents" "$(pipectl agents | tail -n 3)"
    repository swarm app PORT=1 BYTES=1000 'HOSTS={tags: {role: swarm}}'
    sed -i -e '/^health:/d' -e "s/batch: 2, first-batch: 2/batch: $swarm_batch, first-batch: $swarm_batch/" \
        "$work/swarm/group.yml"
    pipectl apply -f "$work/swarm/group.yml" >/dev/null
    : >"$work/run/steps"
    for _ in $(seq "$runs"); do
        build_one swarm
        deploy_built swarm
        took=$(deployment_ms swarm)
        printf '%s   steps: %s ms in %s batches\n' "$(clock)" "$took" "$steps"
        echo $((took / steps)) >>"$work/run/steps"
    done
    stop_process swarm
    plain_figure "each batch of $swarm_batch of $swarm_hosts simulated agents" \
        "$(median <"$work/run/steps") ms" "at most 50 ms"
}
swarm_is_here() {
    [ "$(pipectl agents -o json |
        jq '[.agents[] | select(.alive and (.name | startswith("swarm-")))] | length')" = "$swarm_hosts" ]
}

# The same words again and again, to the engine alone; and with the virtual fleet and every rule checked.
figure_engine() {
    step "simulated deployments"
    local alone words checked
    printf 'group: engine\napplication: engine\nhosts: {tags: {role: web}}\nstrategy: {rolling: {batch: 2}}\n' \
        >"$work/engine.yml"
    read -r alone words < <("$bin/pipeyard-engine" "$work/engine.yml" 10)
    plain_figure "the engine alone, deployments a second and core" "$alone" "at least 20000; $words words each"
    checked=$("$bin/pipectl" simulate --group "$work/engine.yml" --hosts 10 --seeds 50000 --faults none -o json)
    plain_figure "  with the virtual fleet and all checks" \
        "$(jq --argjson cores "$(nproc)" '.deployments / .seconds / $cores | floor' <<<"$checked")" "pipectl simulate"
}
