#!/bin/sh
exec start-stop-daemon --start --background --make-pidfile --pidfile /run/@NAME@.pid \
    --exec /bin/busybox -- httpd -f -p @PORT@ -h /srv/@NAME@/www
