#!/bin/sh
# queue_goes.sh - `make bench-queue` in small: does it still come to its table? What it measures here, beside other tests, is not looked at.
said=$(python3 -B "${top_srcdir:?}/tests/bench/queue.py" --workers 20 --queued 100 --seconds 1 --runs 1 --rate 50 2>&1) && verdict=ok || verdict='not ok'
lines=$(echo "$said" | grep -cE '^(builds accepted|life|wait|published|coordinator dies|worker dies)')
[ "$lines" = 6 ] || verdict='not ok'
echo 1..1
echo "$said" | sed 's/^/# /'
echo "$verdict 1 - a small crowd of workers is measured"
