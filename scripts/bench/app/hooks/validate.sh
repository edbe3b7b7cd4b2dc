#!/bin/sh
until busybox wget -q -O /dev/null http://127.0.0.1:@PORT@/; do sleep 0.05; done
