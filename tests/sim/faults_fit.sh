#!/bin/sh
# faults_fit.sh - each planted fault of sim/faults and kills/faults still fits the sources: else `plant`, which nobody runs each day, ends with it.
# A change to the code under one takes the patch along.
top=${top_srcdir:?}
missed=
echo 1..1
for patch in "$top"/tests/sim/faults/*.patch "$top"/tests/kills/faults/*.patch; do
    said=$(patch -d "$top" -p1 -s --dry-run <"$patch" 2>&1) || { missed="$missed $patch"; echo "$said" | sed "s|^|# $patch: |"; }
done
[ -z "$missed" ] && echo 'ok 1 - all planted faults fit' || echo "not ok 1 - do not fit any more:$missed"
