#!/bin/sh
until busybox wget -q -O /dev/null http://127.0.0.1:@PORT@/ 2>/dev/null; do sleep 0.05; done
