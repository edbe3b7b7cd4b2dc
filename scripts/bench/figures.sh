# shellcheck shell=bash
# shellcheck disable=SC2154 # bench.sh sets what all parts share
# The figures of programs and of runs, and what each is compared with.

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
    in_turns lint "$pairs" hand
    ratio_figure lint hand "lint of ${#lint_files[@]} files, at most 150 ms" "$lint_by of the same files"
}
ours_lint() {
    local before
    before=$(now_ms)
    "$bin/pipectl" lint "${lint_files[@]}" >/dev/null 2>&1 || true
    echo $(($(now_ms) - before))
}
hand_lint() {
    local before
    before=$(now_ms)
    "${lint_base[@]}" "${lint_files[@]}" >/dev/null 2>&1 || true
    echo $(($(now_ms) - before))
}

# From the start of `git push` to the first command of the build.
figure_push() {
    step "push to first command, in turns with git clone and docker run"
    repository first first
    in_turns push "$pairs" hand
    ratio_figure push hand "push to the build's first command" "git clone && docker run"
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
hand_push() {
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
