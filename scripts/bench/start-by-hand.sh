#!/bin/sh
# What follows unpacking, when it is done by hand: the other release is live, and answers. Run on a host.
set -eu
release=${1:-}
start-stop-daemon --stop --oknodo --retry TERM/5 --pidfile /run/hand.pid
ln -s "$release" /srv/hand/next
mv -T /srv/hand/next /srv/hand/current
start-stop-daemon --start --background --make-pidfile --pidfile /run/hand.pid \
    --exec /bin/busybox -- httpd -f -p 8082 -h /srv/hand/current
until busybox wget -q -O /dev/null http://127.0.0.1:8082/payload 2>/dev/null; do sleep 0.05; done
