#!/bin/sh
set -eu
# shellcheck source=/dev/null
. "$(dirname "$0")/witness.sh"
start-stop-daemon --start --background --make-pidfile --pidfile /run/shop.pid --chuid www-data \
    --exec /bin/busybox -- httpd -f -p 8080 -h /srv/shop/www
