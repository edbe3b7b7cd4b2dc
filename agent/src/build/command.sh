# Runs one command of a build in a shell of its own: command.sh SCRIPT SUCCEEDING CARRY [HOME].
# What the last command set, and where it was, comes from the state file; with CARRY 1 it goes back
# there at the end, however the command ends. Functions, aliases, traps and options are not carried, as
# in CodeBuild.

__pipeyard_dir=${0%/*}
__pipeyard_script=$1
__pipeyard_carry=$3
__pipeyard_home=${4-}
__pipeyard_status=

__pipeyard_save() {
    set +aeux
    [ -z "$__pipeyard_status" ] || return 0
    __pipeyard_status=$1
    [ "$__pipeyard_carry" = 1 ] || return 0
    # A user's own home must not become everybody's.
    if [ -n "$__pipeyard_home" ] && [ "${HOME-}" = "$__pipeyard_home" ]; then
        HOME=$__pipeyard_home_before
        unset USER LOGNAME MAIL
    fi
    __PIPEYARD_CWD=$PWD
    export __PIPEYARD_CWD
    export -p >|"$__pipeyard_dir/state/env"
}

. "$__pipeyard_dir/state/env" 2>/dev/null
CODEBUILD_BUILD_SUCCEEDING=$2
export CODEBUILD_BUILD_SUCCEEDING
__pipeyard_home_before=${HOME-}
if [ -n "$__pipeyard_home" ]; then
    HOME=$__pipeyard_home
    export HOME
fi
cd -- "$__PIPEYARD_CWD" 2>/dev/null || {
    echo "[pipeyard] the directory $__PIPEYARD_CWD is gone; back to $CODEBUILD_SRC_DIR"
    cd -- "$CODEBUILD_SRC_DIR" || exit 1
}
unset __PIPEYARD_CWD OLDPWD
shift "$#"

# Redirected, so that a command's `set -x` does not show this.
trap '{ __pipeyard_save "$?"; } 2>/dev/null; exit "$__pipeyard_status"' EXIT
# A plain assignment counts as exported: buildspecs set `TAG=$(…)` in one command and use it in the next,
# AWS's own examples among them.
[ "$__pipeyard_carry" != 1 ] || set -a
. "$__pipeyard_script"
{ __pipeyard_save "$?"; } 2>/dev/null
exit "$__pipeyard_status"
