#!/bin/sh
# thirty_seconds.sh - the simulator for half a minute: does the engine keep its word, whatever happens? Longer: sim/run --seconds N.
echo 1..1
line=$("${top_builddir:?}/tests/sim/run" --seconds "${SIM_SECONDS:-30}" 2>&1) && verdict=ok || verdict='not ok'
case $line in *", violations 0, "*) ;; *) verdict='not ok' ;; esac
echo "$line" | grep '^#'
echo "$verdict 1 - whatever happens the farm keeps its word: $(echo "$line" | tail -n 1)"
