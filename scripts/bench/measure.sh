# shellcheck shell=bash
# shellcheck disable=SC2154 # bench.sh sets what all parts share
# How a figure is taken: in pairs, ours and the baseline in turns, so that a noisy minute hits both.

figures=()

api() { curl -sf --max-time 30 -H "Authorization: Bearer $token" "$local_url/api/v1/$1"; }

# What a reader must know to judge a number.
machine() {
    local fsync
    fsync=$(LC_ALL=C dd if=/dev/zero of="$work/fsync" bs=4k count=50 oflag=dsync 2>&1 |
        awk '/copied/ { printf "%.1f", $(NF - 3) * 1000 / 50 }')
    rm -f "$work/fsync"
    printf '%s   %s cores, load %s, a synced write %s ms, %s build\n' "$(clock)" "$(nproc)" \
        "$(cut -d' ' -f1 /proc/loadavg)" "$fsync" "$profile"
}

# in_turns NAME TIMES PEER...: calls ours_NAME and PEER_NAME for each peer, TIMES times in turns; all print
# milliseconds. The first round warms caches and is not counted. Raw numbers stay in $work/pairs-NAME-PEER.
in_turns() {
    local index ours theirs peer line
    for index in $(seq 0 "$2"); do
        ours=$("ours_$1" "$index")
        line="$1: $ours ms"
        for peer in "${@:3}"; do
            theirs=$("${peer}_$1" "$index")
            [ "$index" = 0 ] || printf '%s %s\n' "$ours" "$theirs" >>"$work/pairs-$1-$peer"
            line="$line, $peer $theirs ms"
        done
        printf '%s   %s\n' "$(clock)" "$line"
    done
}

# ratio_figure NAME PEER WHAT BASELINE
ratio_figure() {
    local ours base ratio low high
    IFS=$'\t' read -r ours base ratio low high < <(awk -f "$here/bench/ratio.awk" "$work/pairs-$1-$2")
    figures+=("$3"$'\t'"$ours ms"$'\t'"$base ms, $4"$'\t'"$ratio ($low to $high)")
}
# plain_figure WHAT VALUE GOAL
plain_figure() { figures+=("$1"$'\t'"$2"$'\t'"$3"$'\t'); }

print_figures() {
    local row what ours base ratio
    printf '\n%-52s %12s  %-44s %s\n' figure median "by hand, or the goal" "ratio (95 %)"
    for row in "${figures[@]}"; do
        IFS=$'\t' read -r what ours base ratio <<<"$row"
        printf '%-52s %12s  %-44s %s\n' "$what" "$ours" "$base" "$ratio"
    done
    printf '\nRaw numbers: %s/pairs-*\n' "$work"
    machine
}

# Milliseconds since the epoch of an instant in the API's JSON.
at_ms() { date -d "$1" +%s%3N; }

# repository NAME TEMPLATE [KEY=VALUE...]: makes .bench/NAME from scripts/bench/TEMPLATE, with @KEY@
# replaced, and applies its pipeline and group.
repository() {
    local directory=$work/$1 pair edits=(-e "s|@NAME@|$1|g")
    for pair in "${@:3}"; do edits+=(-e "s|@${pair%%=*}@|${pair#*=}|g"); done
    mkdir -p "$directory"
    cp -R "$here/bench/$2/." "$directory/"
    find "$directory" -type f -exec sed -i "${edits[@]}" {} +
    [ ! -e "$directory/group.yml" ] || pipectl apply -f "$directory/group.yml" >/dev/null
    pipectl apply -f "$directory/pipeline.yml" >/dev/null
    git_in "$1" init --quiet --initial-branch=main
    git_in "$1" remote add origin "http://git:$token@127.0.0.1:$port/git/$1.git"
}
git_in() {
    GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 GIT_TERMINAL_PROMPT=0 git -C "$work/$1" \
        -c user.name=bench -c user.email=bench@example.com "${@:2}"
}
# commit NAME: something new, so that the next push is one.
commit() {
    date +%s%N >"$work/$1/stamp"
    git_in "$1" add --all
    git_in "$1" commit --quiet --message "Another one"
}
# run_of NAME: the run of the last commit, as JSON, once it has ended well.
run_of() {
    local commit id
    commit=$(git_in "$1" rev-parse HEAD)
    wait_until 30 has_run "$commit" || unmet "a run of commit $commit" "none within 30 s"
    id=$(has_run "$commit")
    wait_until 300 has_ended "$id" || unmet "$id ends within 300 s" "$(api "runs/$id" | jq -r .sentence)"
    api "runs/$id" | tee "$work/run/last.json" | jq -e 'select(.status == "succeeded")' ||
        unmet "$id succeeds" "$(jq -r '.status + ": " + .sentence' "$work/run/last.json")"
}
has_run() {
    api "runs?limit=5" | jq -er --arg c "$1" '[.runs[] | select(.trigger.commit == $c)][0].id'
}
has_ended() { api "runs/$1" | jq -e '.finished_at != null'; }
