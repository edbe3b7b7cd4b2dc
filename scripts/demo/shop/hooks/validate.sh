#!/bin/sh
# The release is good when the shop answers as this release, and has a price list: a second is time
# enough to load it.
set -eu
here=$(dirname "$0")
# shellcheck source=/dev/null
. "$here/witness.sh"

# The time limit is another program's: busybox 1.35 crashes over its own.
ask() { timeout 2 busybox wget -q -O - "http://127.0.0.1:8080$1"; }

until page=$(ask / 2>/dev/null); do
    tries=$((${tries:-50} - 1))
    [ "$tries" -gt 0 ] || { echo "the shop does not answer"; exit 1; }
    sleep 0.1
done
echo "the shop answers: $page"
[ "$page" = "$(cat "$here/../www/index.html")" ] || { echo "that is not this release"; exit 1; }

for _ in 1 2 3 4 5; do
    if ask /prices.txt 2>/dev/null; then exit 0; fi
    sleep 0.2
done
echo "the price list is gone"
exit 1
