#!/bin/sh
set -eu
start-stop-daemon --start --background --make-pidfile --pidfile /run/shop.pid \
    --exec /bin/busybox -- httpd -f -p 8080 -h /srv/shop
