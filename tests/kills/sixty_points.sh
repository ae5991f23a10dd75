#!/bin/bash
# sixty_points.sh - each of the three programs is killed at ten system calls, and fails at ten: does the farm keep its word? Longer: kills/run.
# KILL_SEED=N for other points than those of seed 1.
. "${top_srcdir:?}/tests/lib/tap.sh"
. "$top_srcdir/tests/lib/farm.sh"
farm_need

points ()
{
    FARM_BUILD=$top_builddir python3 -B "$top_srcdir/tests/kills/run" --points 10 --farms 1 --seed "${KILL_SEED:-1}" > "$work/points" 2>&1 \
        || { cat "$work/points"; return 1; }
}
check "killed, or with a call that fails, at sixty moments" points
tap_diagnose "$work/points"
rm -rf "$work"
tap_end
