#!/bin/bash
# Asks hosts for their page, some thirty times a second each, until it is ended.
#
#   poll.sh FILE NAME=ADDRESS:PORT...    appends "milliseconds NAME body" lines, tab between, to FILE
#
# Ends as well when FILE is removed.
#
# Speaks HTTP itself: a program started for every question would take the processor from what is watched.
set -u

file=$1
shift

# The first line of the body; nothing when nobody answers, or not with 200.
ask() {
    local host=${1%:*} port=${1#*:} line status=
    exec 3<>"/dev/tcp/$host/$port" || return 1
    printf 'GET / HTTP/1.0\r\nHost: %s\r\n\r\n' "$host" >&3
    read -r -t 1 status <&3
    while read -r -t 1 line <&3 && [ "${line%$'\r'}" != "" ]; do :; done
    body=
    read -r -t 1 body <&3
    exec 3>&-
    [[ $status = *" 200 "* && -n $body ]]
}

watch_host() {
    local now
    # Reading from a pipe nobody writes to is a sleep that starts no program.
    exec 4<> <(:)
    while [ -e "$file" ]; do
        ask "$2" 2>/dev/null || body="no answer"
        now=${EPOCHREALTIME//[!0-9]/}
        # One short write per line: lines of different hosts do not mix.
        printf '%s\t%s\t%s\n' "${now%???}" "$1" "$body" >>"$file"
        read -r -t 0.03 <&4
    done
}

trap 'kill $(jobs -p) 2>/dev/null; exit 0' TERM INT
for pair in "$@"; do watch_host "${pair%%=*}" "${pair#*=}" & done
wait
