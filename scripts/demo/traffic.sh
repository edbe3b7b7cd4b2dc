# shellcheck shell=bash
# shellcheck disable=SC2154 # demo-canary.sh sets what all parts share
# The story behind the balancer. Each act is measured by itself: requests, failures, seconds.

acts=()
before_act=

tell_traffic_story() {
    register_behind
    first_everywhere
    good_canary
    bad_canary
    there_and_back
    new_hosts
}

register_behind() {
    step "registering the pipeline and its deployment group"
    shop=$work/shop
    mkdir -p "$shop"
    cp -R "$here/demo/canary/." "$shop/"
    rm -f "$shop"/{rolling,canary,blue-green,immutable}.yml
    write_version v1 0
    regroup rolling -f "$shop/pipeline.yml"
    git_url=http://git:$token@127.0.0.1:$port/git/shop.git
    git_shop init --quiet --initial-branch=main
    git_shop remote add origin "$git_url"
    seen "pipeline and group are registered" "pipectl apply: exit 0"
}

# write_version VERSION FAILURES-OF-A-HUNDRED
write_version() {
    echo "$1" >"$shop/app/version.txt"
    echo "$2" >"$shop/app/FAILURES"
}

first_everywhere() {
    step "git push: v1, to hosts that have nothing yet"
    push "Sell fruit"
    watch 0
    expect_serving 6
    seen "v1 answers behind HAProxy" "$(serving)"
    background load "$bin/pipeyard-load" "http://127.0.0.1:$balancer_port/cgi-bin/shop" "$clients" \
        "$work/run/counts"
    wait_until 20 has_answers || unmet "answers from $clients clients" "$(counts)"
}
counts() { cat "$work/run/counts" 2>/dev/null || echo '{}'; }
has_answers() { [ "$(counts | jq 'add // 0')" -gt 100 ]; }

begin_act() {
    step "$1"
    before_act=$(counts)
}

# end_act NAME HOW [ALLOWED]: what was asked since the act began; nothing else than 200 but ALLOWED.
end_act() {
    local took diff asked failed allowed
    took=$(seconds $(($(now_ms) - step_ms)))
    diff=$(jq -n --argjson a "$before_act" --argjson b "$(counts)" \
        '$b | with_entries(.value -= ($a[.key] // 0)) | with_entries(select(.value > 0))')
    asked=$(jq 'add // 0' <<<"$diff")
    allowed=$(jq --arg allowed "${3:--}" '.[$allowed] // 0' <<<"$diff")
    failed=$(jq --arg allowed "${3:--}" \
        'with_entries(select((.key | startswith("200 ") | not) and .key != $allowed)) | add // 0' \
        <<<"$diff")
    jq -r 'to_entries | map("\(.value) × \(.key)") | join(", ")' <<<"$diff" | indented
    [ "$failed" = 0 ] || unmet "no request fails during: $1" "$failed of $asked: $diff"
    acts+=("$1"$'\t'"$asked"$'\t'"$failed"$'\t'"$allowed"$'\t'"$took")
    seen "$1" "$2"
}

expect_serving() {
    local found
    found=$(serving | wc -w)
    [ "$found" = "$1" ] || unmet "$1 hosts behind HAProxy get traffic" "$(serving)"
}

good_canary() {
    regroup canary
    begin_act "git push: v2, 10 % of the traffic, then 50 %, then all"
    write_version v2 0
    push "Sell vegetables"
    watch 0
    expect_serving 6
    end_act "canary v2, by weight to 100 %" "pipectl watch: exit 0; $(serving)"
}

bad_canary() {
    local answers
    begin_act "git push: v3, of whose pages one in twenty goes wrong"
    write_version v3 5
    push "Sell flowers"
    watch 3
    expect_serving 6
    pipectl status "$run" 2>&1 | grep -m 2 -i 'errors\|analysis\|canary' | indented || true
    answers=$(on_host host-1 cat /srv/shop/version.txt)
    [ "$answers" = v2 ] || unmet "host-1 runs v2 again" "$answers"
    end_act "canary v3 caught by the analysis, hosts restored" \
        "pipectl watch: exit 3; $(serving)" "500 v3"
    write_version v2 0
}

there_and_back() {
    begin_act "git push: v4, blue/green on two sets of three hosts"
    regroup blue-green
    write_version v4 0
    push "Sell bread"
    watch 0
    expect_serving 3
    end_act "blue/green switch" "$(serving)"
    begin_act "pipectl rollback: the other set still runs what was before"
    pipectl rollback production --watch 2>&1 | indented ||
        unmet "pipectl rollback exits 0" "exit code ${PIPESTATUS[0]}"
    expect_serving 3
    end_act "blue/green switch back" "$(serving)"
}

new_hosts() {
    begin_act "git push: v5, on three hosts that do not exist yet"
    regroup immutable
    write_version v5 0
    push "Sell cheese"
    watch 0
    expect_serving 3
    [ "$(instances | wc -l)" = 3 ] || unmet "three new hosts" "$(instances)"
    end_act "immutable replacement" "$(serving)"
    rm -f "$work/run/counts"
}

print_traffic_report() {
    local act name asked failed allowed took
    printf '\n%-50s %9s %7s %12s %8s\n' "under load" requests failed "v3's own 500" seconds
    for act in "${acts[@]}"; do
        IFS=$'\t' read -r name asked failed allowed took <<<"$act"
        printf '%-50s %9s %7s %12s %8s\n' "$name" "$asked" "$failed" "$allowed" "$took"
    done
    printf '\nIn all: %s s. No request failed but those of the bad revision itself.\n' \
        "$(seconds $(($(now_ms) - started_ms)))"
    [ -z "$keep" ] || printf "Dashboard  %s, %s / %s; 'scripts/demo-canary.sh stop' ends it\n" \
        "$local_url" "$admin_user" "$admin_password"
}
