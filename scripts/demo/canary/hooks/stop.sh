#!/bin/sh
set -eu
start-stop-daemon --stop --oknodo --retry 5 --remove-pidfile --pidfile /run/shop.pid
