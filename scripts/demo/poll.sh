#!/bin/bash
# Asks hosts for their page, about ten times a second each, until it is ended.
#
#   poll.sh FILE NAME=URL...      appends "milliseconds NAME body" lines, tab between, to FILE
set -eu

file=$1
shift
trap 'kill $(jobs -p) 2>/dev/null; exit 0' TERM INT
for pair in "$@"; do
    (
        while :; do
            body=$(curl -sf --noproxy '*' --max-time 1 "${pair#*=}" | head -n 1) || true
            now=${EPOCHREALTIME//[!0-9]/}
            # One short write per line: lines of different hosts do not mix.
            printf '%s\t%s\t%s\n' "${now%???}" "${pair%%=*}" "${body:-no answer}" >>"$file"
            sleep 0.08
        done
    ) &
done
wait
