#!/bin/sh
set -eu
# shellcheck source=/dev/null
. "$(dirname "$0")/witness.sh"
start-stop-daemon --stop --oknodo --retry 5 --remove-pidfile --pidfile /run/shop.pid
