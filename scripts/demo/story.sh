# shellcheck shell=bash
# shellcheck disable=SC2154 # demo.sh sets what all parts share
# The story: a good release, a bad one that is taken back by itself, a better one, and a rollback by
# hand. Each act ends with looking at the hosts themselves.

git_url=
shop=
run=
good_digest=

tell_story() {
    register
    first_release
    bad_release
    better_release
    back_by_hand
}

register() {
    step "registering the pipeline and its deployment group"
    shop=$work/shop
    mkdir -p "$shop"
    cp -R "$here/demo/shop/." "$shop/"
    pipectl apply -f "$shop/group.yml" -f "$shop/pipeline.yml" 2>&1 | indented
    git_url=http://git:$token@127.0.0.1:$port/git/shop.git
    git_shop init --quiet --initial-branch=main
    git_shop remote add origin "$git_url"
    seen "pipeline and group are registered" "pipectl apply: exit 0"
}

# The demo's commits need no settings of the user, and follow none.
git_shop() {
    GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 GIT_TERMINAL_PROMPT=0 git -C "$shop" \
        -c user.name='Pipeyard demo' -c user.email='demo@example.com' "$@"
}

# push MESSAGE: commits and pushes everything, and finds the run that starts; its id is in $run.
push() {
    git_shop add --all
    git_shop commit --quiet --message "$1"
    git_shop push --quiet origin main 2>&1 | indented
    commit=$(git_shop rev-parse HEAD)
    wait_until 20 find_run "$commit" ||
        unmet "a run of commit $commit within 20 s of the push" "$(pipectl runs)"
    run=$(find_run "$commit")
}
find_run() {
    local found
    found=$(pipectl runs -o json |
        jq -r --arg commit "$1" '[.runs[] | select(.trigger.commit == $commit)][0].id // empty')
    [ -n "$found" ] && echo "$found"
}

# watch EXPECTED: follows the run to its end, which must be pipectl's exit code EXPECTED.
watch() {
    local status=0
    pipectl watch "$run" 2>&1 | indented || status=${PIPESTATUS[0]}
    [ "$status" = "$1" ] || unmet "run $run ends with pipectl's exit code $1" "exit code $status"
}

# all_answer TEXT: every host, asked directly, or the demo has failed.
all_answer() {
    local host found
    for host in $(host_names); do
        found=$(answer "$host")
        [ "$found" = "$1" ] || unmet "$host answers '$1'" "'${found:-no answer}'"
    done
}

hook_log() { on_host "$1" cat /var/log/shop-hooks.log 2>/dev/null || true; }
hook_count() { hook_log "$1" | wc -l; }

first_release() {
    step "git push: shop v1"
    push "Sell fruit"
    seen "the push started run $run" "pipectl runs lists commit ${commit:0:7}"
    step "building v1 in Docker, then deploying it host by host"
    watch 0
    all_answer "shop v1"
    good_digest=$(pipectl deployments -o json | jq -r '.deployments[0].revision.digest')
    seen "v1 is built and deployed" "GET / on each of $host_count hosts: shop v1"
}

bad_release() {
    local host before=() hooks=()
    for host in $(host_names); do
        hooks+=("$(hook_count "$host")")
        before+=("$(answer "$host")")
    done
    start_poller
    step "git push: shop v2, whose price list went missing on the way"
    echo v2 >"$shop/VERSION"
    git_shop mv app/prices.txt app/price-list.txt
    push "Rename the price list"
    watch 3
    # The words of the script that refused it.
    pipectl logs "$run" production 2>&1 | grep -m 3 ValidateService | indented
    seen "v2 failed and was rolled back by itself" "pipectl watch: exit 3 (rolled back)"

    step "looking at what the hosts went through"
    all_answer "shop v1"
    # A little longer than it took: what comes after the way back is part of the picture.
    sleep 1
    stop_process poller
    check_touched "${hooks[@]}"
    for host in $(host_names); do
        printf '  %-7s before: %s | during: %s | after: %s\n' "$host" "${before[0]}" \
            "$(answers_during "$work/run/samples" "$host")" "$(answer "$host")"
        before=("${before[@]:1}")
    done >"$work/answers"
    indented <"$work/answers"
}

# One host, and only one, ran hooks of v2; it ran each of them once, and ValidateService was the last
# before the way back.
check_touched() {
    local host index=0 touched=() new events
    for host in $(host_names); do
        index=$((index + 1))
        new=$(hook_log "$host" | tail -n +"$((${!index} + 1))")
        if [ -n "$new" ]; then
            touched+=("$host")
            events=$(cut -d' ' -f2 <<<"$new" | tr '\n' ' ')
        elif others_seen "$host"; then
            unmet "$host, which v2 never reached, answered 'shop v1' all the time" \
                "$(answers_during "$work/run/samples" "$host")"
        fi
    done
    [ "${#touched[@]}" = 1 ] || unmet "v2 reached one host" "${#touched[@]}: ${touched[*]}"
    local expected="ApplicationStop ApplicationStart ValidateService "
    [ "$events" = "$expected$expected" ] ||
        unmet "on ${touched[0]} each hook ran once for v2 and once for the way back" "$events"
    seen "v1 everywhere; only ${touched[0]} ever ran v2" \
        "GET / on each: shop v1; hook logs of the others unchanged"
}
others_seen() {
    awk -F '\t' -v host="$1" '$2 == host && $3 != "shop v1" { found = 1 } END { exit !found }' \
        "$work/run/samples"
}

better_release() {
    step "git push: shop v3, with its price list"
    echo v3 >"$shop/VERSION"
    git_shop mv app/price-list.txt app/prices.txt
    push "Bring the price list back"
    watch 0
    all_answer "shop v3"
    seen "v3 is built and deployed" "GET / on each of $host_count hosts: shop v3"
}

back_by_hand() {
    step "pipectl rollback production, to v1's revision"
    pipectl rollback production --to "$good_digest" --watch 2>&1 | indented ||
        unmet "pipectl rollback exits 0" "exit code ${PIPESTATUS[0]}"
    all_answer "shop v1"
    seen "rolled back by hand to v1" "GET / on each of $host_count hosts: shop v1"
}

start_poller() {
    local host pairs=()
    for host in $(host_names); do pairs+=("$host=$(host_address "$host"):8080"); done
    : >"$work/run/samples"
    background poller "$here/demo/poll.sh" "$work/run/samples" "${pairs[@]}"
}
