# shellcheck shell=sh
# Sourced by every hook: notes on the host that it ran, so that anybody can count.
echo "$DEPLOYMENT_ID $LIFECYCLE_EVENT" >>/var/log/shop-hooks.log
