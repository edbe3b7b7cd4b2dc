#!/bin/sh
exec start-stop-daemon --stop --oknodo --retry TERM/5 --pidfile /run/@NAME@.pid
