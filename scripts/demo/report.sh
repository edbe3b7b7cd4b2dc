# shellcheck shell=bash
# shellcheck disable=SC2154 # demo.sh sets what all parts share
# What the demo says: steps with the time they happen at, and the table at the end.

rows=()
started_ms=0
step_ms=0

now_ms() {
    local now=${EPOCHREALTIME//[!0-9]/}
    echo "${now%???}"
}
seconds() { printf '%d.%d' $(($1 / 1000)) $(($1 % 1000 / 100)); }

# "[  12.3 s]" since the demo began.
clock() { printf '[%6s s]' "$(seconds $(($(now_ms) - started_ms)))"; }

started_ms=$(now_ms)

# step TEXT: something begins.
step() {
    step_ms=$(now_ms)
    printf '%s %s\n' "$(clock)" "$*"
}
# Lines of a program at work, below the step they belong to.
indented() { sed -u 's/^/              /'; }

# seen WHAT HOW: the step's outcome was checked, in this way.
seen() {
    local took
    took=$(seconds $(($(now_ms) - step_ms)))
    rows+=("$1"$'\t'"$took"$'\t'"$2")
    printf '%s   seen: %s (%s s)\n' "$(clock)" "$1" "$took"
}

# unmet EXPECTED SEEN: the end of an unhappy demo.
unmet() {
    {
        printf '\n%s NOT SEEN\n' "$(clock)"
        printf '  expected  %s\n' "$1"
        printf '  seen      %s\n' "$2"
        printf '  logs      %s\n' "$work/logs"
    } >&2
    exit 1
}

print_report() {
    local row what took how
    printf '\n%-46s %8s  %s\n' "what happened" "seconds" "how it was checked"
    printf '%-46s %8s  %s\n' "-------------" "-------" "------------------"
    for row in "${rows[@]}"; do
        IFS=$'\t' read -r what took how <<<"$row"
        printf '%-46s %8s  %s\n' "$what" "$took" "$how"
    done
    printf '\nwhat every host answered\n'
    cat "$work/answers"
    printf '\nIn all: %s s. Everything expected was seen.\n' \
        "$(seconds $(($(now_ms) - started_ms)))"
    printf '\nDashboard  %s (from elsewhere: %s, with a certificate of its own)\n' \
        "$local_url" "$url"
    printf 'Sign in    %s / %s\n' "$admin_user" "$admin_password"
    if [ -n "$keep" ]; then
        printf "Running    . %s/env for the addresses; 'make demo-stop' ends it\n" "$work"
    else
        printf "Ending it now; 'make demo KEEP=1' leaves it running.\n"
    fi
}

# answers_during FILE NAME: what a host answered and for how long, in order, from the poller's samples.
answers_during() {
    awk -F '\t' -v host="$2" '
        $2 == host {
            if ($3 != body) { close_run($1); body = $3; since = $1 }
            last = $1
        }
        function close_run(at) {
            if (body != "") printf "%s%s %.1f s", (runs++ ? ", " : ""), body, (at - since) / 1000
        }
        END { close_run(last) }
    ' "$1"
}
