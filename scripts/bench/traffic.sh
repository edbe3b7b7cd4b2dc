# shellcheck shell=bash
# shellcheck disable=SC2154 # bench.sh sets what all parts share
# How long a blue/green switch takes as clients see it: from the first answer of the new revision to the
# last one of the old, under requests that never stop.

clients=8
# Every application here answers at the root.
balancer_check=/

figure_flip() {
    local failed
    step "blue/green switches behind HAProxy, under load"
    start_balancer
    repository flip app PORT=8084 BYTES=1000 "BALANCER=$balancer" "SOCKET=$work/run/haproxy.sock" \
        'HOSTS={tags: {role: web}}'
    # The group of the template is a rolling one.
    sed -e '/^strategy:/d' -e '/^health:/d' "$work/flip/group.yml" >"$work/flip/plain.yml"
    { cat "$work/flip/plain.yml" && flip_settings; } >"$work/flip/group.yml"
    pipectl apply -f "$work/flip/group.yml" >/dev/null
    build_one flip
    deploy_built flip
    background load "$bin/pipeyard-load" "http://127.0.0.1:$balancer_port/" "$clients" \
        "$work/run/counts" "$work/run/times"
    wait_until 20 test -s "$work/run/times" || unmet "answers from $clients clients" "none"
    : >"$work/run/flips"
    for _ in $(seq "$runs"); do one_flip; done
    failed=$(jq 'with_entries(select(.key | startswith("200 ") | not)) | add // 0' "$work/run/counts")
    plain_figure "blue/green switch, first new to last old answer" "$(median <"$work/run/flips") ms" \
        "at most 50 ms"
    plain_figure "  requests that failed, of $(jq add "$work/run/counts")" "$failed" "0"
    rm -f "$work/run/counts"
}
flip_settings() {
    cat <<END
strategy: {blue-green: {blue: {tags: {set: blue}}, green: {tags: {set: green}}, bake: 0s, keep-old: 0s}}
router:
  port: 8084
  check: 500ms
  haproxy: {agent: $balancer, backend: shop, socket: $work/run/haproxy.sock}
drain: 5s
END
}
# The revisions answer with their stamp, which is what a request is counted under.
one_flip() {
    local old new times
    old=$(cat "$work/flip/stamp")
    build_one flip
    new=$(cat "$work/flip/stamp")
    deploy_built flip
    # The last answer of the old one may be written a moment later.
    sleep 0.3
    times=$(cat "$work/run/times")
    jq --arg old "200 $old" --arg new "200 $new" '.[$old].last - .[$new].first' <<<"$times" >>"$work/run/flips"
    printf '%s   flip: %s ms\n' "$(clock)" "$(tail -n 1 "$work/run/flips")"
}
