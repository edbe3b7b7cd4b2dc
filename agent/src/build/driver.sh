# The main process of a build's container: runs the plan beside it and says in its output, on lines
# that begin with a byte and a nonce nobody else knows, what starts and how it ended. The agent
# takes those lines out of the log. Nothing here needs the agent to be alive: one that died reads
# the container's log again and knows everything.
#
# Needs of an image: sh, env; su, id and chown only for run-as. No command runs in this shell.

control=$1
ok=1          # becomes CODEBUILD_BUILD_SUCCEEDING
oom_seen=0

mark() {
    printf '\036%s %s\n' "$nonce" "$*"
}

# The build cannot begin: say why.
refuse() {
    mark F "$*"
    exit 1
}

stopped() {
    [ -e "$control/stop" ]
}

# Before anything runs: the shell, the users, and what the first command finds in its environment.
prepare() {
    shell=$(command -v "$shell_name") || refuse "the image has no $shell_name"
    command -v env >/dev/null || refuse "the image has no 'env' program"
    for user in $users; do
        command -v su >/dev/null || refuse "run-as needs the program 'su', which the image lacks"
        id -u -- "$user" >/dev/null 2>&1 || refuse "the image has no user '$user' (run-as)"
    done
    # By the shell that will read it: they do not quote alike. The build's variables must not
    # reach this shell.
    "$shell" -c '. "$1/env.sh"; __PIPEYARD_CWD=$2; export __PIPEYARD_CWD; export -p' \
        "$shell_name" "$control" "$source_dir" >"$control/state/env" ||
        refuse "the state directory cannot be written"
    oom_kills
    oom_seen=$oom
}

# How often the kernel ended something here for want of memory, under either kind of cgroup.
oom_kills() {
    oom=0
    for file in /sys/fs/cgroup/memory/memory.oom_control /sys/fs/cgroup/memory.events; do
        [ -r "$file" ] || continue
        while read -r key value; do
            [ "$key" != oom_kill ] || oom=$value
        done <"$file"
    done
}

# The workspace belongs to whom the phase runs as, else they could not build in it.
own() {
    [ "$1" != "$owner" ] || return 0
    chown -R -h "$1" "$workspace" "$control/state" || refuse "giving the workspace to $1 failed"
    owner=$1
}

# run USER SCRIPT CARRY
run() {
    if [ -n "$1" ]; then
        su -s "$shell" "$1" -c \
            "exec env -i '$shell' '$control/command.sh' '$2' $ok $3 \"\$HOME\"" </dev/null 2>&1
    else
        env -i "$shell" "$control/command.sh" "$2" "$ok" "$3" </dev/null 2>&1
    fi
}

# list PHASE USER PART COUNT: the first command that fails ends the list.
list() {
    item=0
    while [ "$item" -lt "$4" ]; do
        # What cleans up still runs when the build is stopped.
        if [ "$3" = commands ] && stopped; then return 1; fi
        mark C "$1" "$3" "$item"
        # What is redirected is this shell's own remark on a command that a signal ended.
        run "$2" "$control/commands/$1-$3-$item.sh" "$carry" 2>/dev/null
        status=$?
        oom_now=$oom_seen
        if [ "$status" -ne 0 ]; then
            oom_kills
            oom_now=$oom
        fi
        mark E "$status" "$((oom_now - oom_seen))"
        oom_seen=$oom_now
        if [ "$status" -ne 0 ]; then
            ok=0
            return 1
        fi
        item=$((item + 1))
    done
}

# Whether to try again is the agent's to say when it depends on what was printed.
ask() {
    mark Q "$1" "$2"
    while [ ! -e "$control/answers/$1-$2" ]; do
        stopped && return 1
        sleep 0.1 2>/dev/null || sleep 1
    done
    read -r answer <"$control/answers/$1-$2"
    [ "$answer" = retry ]
}

# phase INDEX USER COMMANDS FINALLY RETRIES ASK
phase() {
    stopped && finish 0
    own "${2:-0}"
    attempt=0
    while :; do
        before=$ok
        failed=0
        mark P "$1" "$attempt"
        list "$1" "$2" commands "$3" || failed=1
        list "$1" "$2" finally "$4" || failed=1
        [ "$failed" -ne 0 ] || break
        ok=0
        stopped && break
        [ "$attempt" -lt "$5" ] || break
        [ "$6" -eq 0 ] || ask "$1" "$attempt" || break
        mark D "$1" retry
        ok=$before
        attempt=$((attempt + 1))
    done
    mark D "$1" "$failed"
    if [ "$failed" -ne 0 ] && stopped; then finish 0; fi
    return "$failed"
}

# finish UPLOAD: leave the exported variables where the agent reads them, then end the container.
finish() {
    [ "$1" -eq 0 ] || run '' "$control/leave.sh" 0
    [ -z "$give_to" ] || own "$give_to"
    mark Z "$ok" "$1"
    [ "$ok" -eq 1 ]
    exit
}

. "$control/plan.sh"
finish 1
